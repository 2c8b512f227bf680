"""Sketch of live sound: which pitches sound, and how loud (audio dossier §5).

Per piece of sound: magnitudes of semitones from A2 to C8, of which the strongest few that stand out
are notes. A semitone's magnitude is the sum of FFT lines under a Gaussian of its width; what lies a
harmonic above a stronger pitch does not count.
"""

from __future__ import annotations

import math

import numpy as np

SAMPLE_RATE = 44100
WINDOW = 4096  # 93 ms
LOWEST, HIGHEST = 45, 108  # MIDI pitches; below, a semitone is narrower than the window can tell
MOST_PITCHES = 4
SILENCE_DB = -50.0  # RMS below which nothing sounds
STANDS_OUT = 0.35  # of the strongest pitch's magnitude
HARMONICS = (12, 19, 24, 28, 31, 34, 36)  # semitones of the partials 2 to 8
OVERTONE_SHARE = 0.9  # a partial up to this share of its fundamental is only a partial


def _bank() -> np.ndarray:
    lines = np.fft.rfftfreq(WINDOW, 1.0 / SAMPLE_RATE)
    pitch = 69.0 + 12.0 * np.log2(np.maximum(lines, 1.0) / 440.0)
    wanted = np.arange(LOWEST, HIGHEST + 1)[:, None]
    weights = np.exp(-0.5 * np.square((pitch - wanted) / 0.35))
    weights[np.abs(pitch - wanted) > 1.0] = 0.0
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9), np.float32)


_BANK = _bank()
_HANN = np.hanning(WINDOW).astype(np.float32)


def level_db(pcm: np.ndarray) -> float:
    """RMS of sound [n, 2] in dB full scale; -120 is silence."""
    rms = float(np.sqrt(np.mean(np.square(pcm)))) if len(pcm) else 0.0
    return 20.0 * math.log10(max(rms, 1e-6))


def pitches(pcm: np.ndarray) -> tuple[int, ...]:
    """MIDI pitches that sound in the newest 93 ms of `pcm` [n, 2], at most four, lowest first.

    >>> time = np.arange(WINDOW) / SAMPLE_RATE
    >>> tone = 0.3 * np.sin(2 * np.pi * 440.0 * time)
    >>> pitches(np.stack([tone, tone], axis=1))
    (69,)
    """
    if len(pcm) < WINDOW or level_db(pcm[-WINDOW:]) < SILENCE_DB:
        return ()
    spectrum = np.abs(np.fft.rfft(pcm[-WINDOW:].mean(axis=1) * _HANN))
    salience = _BANK @ spectrum.astype(np.float32)
    peaks = [
        (float(salience[i]), i)
        for i in range(len(salience))
        if salience[i] == salience[max(0, i - 1) : i + 2].max()
    ]
    strongest = max(salience)
    found: list[int] = []
    for magnitude, index in sorted(peaks, key=lambda peak: peak[1]):
        if magnitude < STANDS_OUT * strongest:
            continue
        overtone = any(
            index - below in HARMONICS and magnitude <= OVERTONE_SHARE * float(salience[below])
            for below in found
        )
        if not overtone:
            found.append(index)
    loudest = sorted(found, key=lambda index: -float(salience[index]))[:MOST_PITCHES]
    return tuple(sorted(LOWEST + index for index in loudest))
