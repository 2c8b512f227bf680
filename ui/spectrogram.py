"""Columns of a scrolling spectrogram and waveform from PCM. Pure numpy; no Qt.

>>> columns = SpectrogramColumns(rows=8)
>>> columns.feed(np.zeros((2 * HOP, 2), np.float32)).shape
(2, 8)
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 44100
HOP = 735  # samples a column: 60 columns a second, so one pixel a frame scrolls without a judder
WINDOW = 4096  # samples of the Fourier transform: 93 ms
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
FLOOR_DB = -66.0  # drawn as black; a full-scale sine is 0
TILT_DB = 3.0  # added per octave above 1 kHz, as music's spectrum falls about that much


class SpectrogramColumns:
    """Log-frequency columns, low to high, as uint8 levels (0 is FLOOR_DB or less, 255 is 0 dB).

    The window is many columns long, so every second column is enough: each is given twice.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._window = np.hanning(WINDOW).astype(np.float32)
        self._scale = 2.0 / float(self._window.sum())
        bins = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
        edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, rows + 1)
        centres = np.sqrt(edges[1:] * edges[:-1])
        self._below = np.clip(np.searchsorted(bins, centres) - 1, 0, len(bins) - 2)
        self._share = (centres - bins[self._below]) / (bins[1] - bins[0])
        self._first = np.searchsorted(bins, edges[:-1])
        self._wide = np.searchsorted(bins, edges[1:]) - self._first >= 2  # rows of several bins
        self._tilt = TILT_DB * np.log2(centres / 1000.0)
        self._recent = np.zeros(WINDOW, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._last: np.ndarray | None = None  # the column that is to be given once more

    def feed(self, pcm: np.ndarray) -> np.ndarray:
        """The columns [n, rows] that PCM [samples, 2] completes; what is left waits."""
        mono = pcm.mean(axis=1) if len(pcm) else np.zeros(0, np.float32)
        self._waiting = np.concatenate([self._waiting, mono.astype(np.float32)])
        columns = []
        while len(self._waiting) >= HOP:
            self._recent = np.concatenate([self._recent[HOP:], self._waiting[:HOP]])
            self._waiting = self._waiting[HOP:]
            if self._last is None:
                self._last = self._column()
                columns.append(self._last)
            else:
                columns.append(self._last)
                self._last = None
        return np.array(columns, np.uint8).reshape(len(columns), self.rows)

    def _column(self) -> np.ndarray:
        magnitude = np.abs(np.fft.rfft(self._recent * self._window)) * self._scale
        near = magnitude[self._below] * (1 - self._share) + magnitude[self._below + 1] * self._share
        most = np.maximum.reduceat(magnitude, self._first)
        level = np.where(self._wide, most, near)
        decibels = 20 * np.log10(np.maximum(level, 1e-6)) + self._tilt
        return np.clip(255 * (1 - decibels / FLOOR_DB), 0, 255).astype(np.uint8)


class WaveformColumns:
    """The lowest and highest sample of each HOP samples."""

    def __init__(self) -> None:
        self._waiting = np.zeros((0, 2), np.float32)

    def feed(self, pcm: np.ndarray) -> np.ndarray:
        """The columns [n, 2] (lowest, highest) that PCM [samples, 2] completes."""
        self._waiting = np.concatenate([self._waiting, pcm]) if len(pcm) else self._waiting
        whole = len(self._waiting) // HOP
        pieces = self._waiting[: whole * HOP].reshape(whole, HOP * 2)
        self._waiting = self._waiting[whole * HOP :]
        if not whole:
            return np.zeros((0, 2), np.float32)
        return np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1)
