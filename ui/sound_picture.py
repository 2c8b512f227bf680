"""The picture of the sound that was heard, kept as pixels so that scrolling it copies, not draws.

A ring of pixel columns: each column of sound is coloured once, when it arrives, and drawing puts
the two parts of the ring side by side without scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QImage, QPainter

from ui import theme

ROWS = 192  # frequencies of a spectrum column
HISTORY = 4096  # columns kept, to draw anew when the size changes: 68 s
GAP = 2  # rows of pixels between spectrum and waveform
HEAT = ((0.0, "#0c0e11"), (0.3, "#1d2f5c"), (0.55, "#2e7fb0"), (0.78, "#5fd0c0"), (1.0, "#f7f3c4"))


def heat_table() -> list[int]:
    """256 colours of rising lightness, black over blue to pale yellow, as Qt's 0xAARRGGBB."""
    table = []
    for level in range(256):
        place = level / 255
        for (low, first), (high, second) in pairwise(HEAT):
            if place <= high:
                mixed = theme.mixed(first, second, (place - low) / (high - low))
                table.append(mixed.rgb())
                break
    return table


@dataclass(frozen=True)
class Line:
    """A line through a column: 0xAARRGGBB, how much of it covers the sound, where it begins."""

    tint: int
    opacity: float
    top: float


class SoundPicture:
    """Spectrum above, waveform below; the newest column to the right.

    `resize` fixes the size in device pixels; `column` is how many of them are a column's width.
    """

    def __init__(self) -> None:
        self.count = 0  # columns since the beginning
        self.column = 1
        self._spectra = np.zeros((HISTORY, ROWS), np.uint8)  # low to high
        self._waves = np.zeros((HISTORY, 2), np.float32)  # lowest, highest sample
        self._lines: dict[int, Line] = {}  # column -> the line through it
        self._heat = np.array(heat_table(), np.uint32)
        self._ground = int(self._heat[0])
        self._wave_tint = theme.mixed(theme.WELL, theme.FRESH, 0.85).rgb()
        self._line_tint = theme.colour(theme.LINE).rgb()
        self.resize(1, 1, 0.3, 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in device pixels."""
        return self._pixels.shape[1], self._pixels.shape[0]

    def resize(self, wide: int, tall: int, wave_share: float, column: int) -> None:
        """Another size in device pixels; the newest sound is drawn anew.

        A `wave_share` of 1 shows the waveform alone.
        """
        self.column = max(1, column)
        self.columns = min(HISTORY, max(1, wide // self.column))
        tall = max(4, tall)
        self._image = QImage(self.columns * self.column, tall, QImage.Format.Format_RGB32)
        self._image.fill(self._ground)
        bits = self._image.bits()
        assert bits is not None
        bits.setsize(self._image.sizeInBytes())
        line = self._image.bytesPerLine() // 4
        self._pixels = np.frombuffer(bits, np.uint32).reshape(tall, line)  # type: ignore[call-overload]
        self._pixels = self._pixels[:, : self.columns * self.column]
        self._split = 0 if wave_share >= 1.0 else max(1, round(tall * (1 - wave_share)))
        if self._split:
            place = np.linspace(ROWS - 1, 0, self._split)
            self._row = np.minimum(place.astype(int), ROWS - 2)
            self._share = (place - self._row)[:, None]
        kept = min(self.count, self.columns)
        if kept:
            self._draw_columns(np.arange(self.count - kept, self.count))

    def add(self, spectra: np.ndarray | None, waves: np.ndarray) -> None:
        """New columns: levels uint8 [n, ROWS] or None, and lowest and highest samples [n, 2]."""
        if not len(waves):
            return
        self.count += max(0, len(waves) - HISTORY)  # what is more than can be kept goes by unseen
        waves = waves[-HISTORY:]
        numbers = np.arange(self.count, self.count + len(waves))
        self._waves[numbers % HISTORY] = waves
        self._spectra[numbers % HISTORY] = 0 if spectra is None else spectra[-len(waves) :]
        self.count += len(waves)
        self._draw_columns(numbers[-self.columns :])

    def rule(self, column: int, tint: str, opacity: float, top: float = 0.0) -> None:
        """A line through a column, from the share `top` of the height down to the foot.

        One that has not come yet is drawn when it comes; of two in a column the brighter stays.
        """
        line = Line(theme.colour(tint).rgb(), opacity, top)
        if column not in self._lines or self._lines[column].opacity <= opacity:
            self._lines[column] = line
            if 0 <= self.count - 1 - column < self.columns:
                self._draw_columns(np.array([column]))
        while self._lines and (oldest := next(iter(self._lines))) < self.count - HISTORY:
            del self._lines[oldest]

    def draw(self, painter: QPainter, right: float, top: float, ratio: float) -> None:
        """The picture with its newest column's right edge at `right`; `ratio` is device pixels a
        logical one. What lies left of the painter's clip is cut off.
        """
        wide, tall = self.size
        seam = (self.count % self.columns) * self.column  # the oldest column's left edge
        left = right - wide / ratio
        older = (wide - seam) / ratio
        high = tall / ratio
        painter.drawImage(
            QRectF(left, top, older, high), self._image, QRectF(seam, 0, wide - seam, tall)
        )
        if seam:
            painter.drawImage(
                QRectF(left + older, top, seam / ratio, high), self._image, QRectF(0, 0, seam, tall)
            )

    def _draw_columns(self, numbers: np.ndarray) -> None:
        """Colours the columns of these numbers."""
        kept = numbers % HISTORY
        places = (numbers % self.columns)[:, None] * self.column + np.arange(self.column)
        places = places.ravel()
        if self._split:
            levels = self._spectra[kept].astype(np.float32)  # [n, ROWS]
            below, above = levels[:, self._row].T, levels[:, self._row + 1].T  # [pixels, n]
            mixed = (below + (above - below) * self._share).astype(np.uint8)
            self._pixels[: self._split, places] = self._heat[mixed].repeat(self.column, axis=1)
        tall = len(self._pixels) - self._split
        middle = self._split + GAP + (tall - GAP) / 2
        half = (tall - GAP) / 2 - 1
        waves = np.clip(self._waves[kept], -1.0, 1.0)
        rows = np.arange(self._split, len(self._pixels))[:, None] + 0.5
        inside = (rows >= middle - waves[:, 1] * half - 0.5) & (
            rows <= middle - waves[:, 0] * half + 0.5
        )
        loud = waves[:, 1] - waves[:, 0] > 1e-4
        tints = np.where(loud, self._wave_tint, self._line_tint).astype(np.uint32)
        drawn = np.where(inside, tints, np.uint32(self._ground))
        self._pixels[self._split :, places] = drawn.repeat(self.column, axis=1)
        for number in numbers.tolist() if self._lines else ():
            line = self._lines.get(number)
            if line is not None:
                self._draw_line(number, line)

    def _draw_line(self, number: int, line: Line) -> None:
        place = (number % self.columns) * self.column
        top = round(line.top * len(self._pixels))
        under = self._pixels[top:, place]
        self._pixels[top:, place] = _mixed(under, line.tint, line.opacity)


def _mixed(under: np.ndarray, tint: int, opacity: float) -> np.ndarray:
    """Pixels 0xAARRGGBB with so much of a colour over them."""
    shifts = np.array([16, 8, 0], np.uint32)
    levels = (under[:, None] >> shifts) & 0xFF
    over = (np.uint32(tint) >> shifts) & 0xFF
    mixed = np.round(levels + (over.astype(np.float32) - levels) * opacity).astype(np.uint32)
    return np.asarray((mixed << shifts).sum(axis=1, dtype=np.uint32) | np.uint32(0xFF000000))
