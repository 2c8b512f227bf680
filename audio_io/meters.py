"""Level meters: a tap that keeps the peak and RMS of what is being heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

_RMS_SECONDS = 0.1
_PEAK_FALL_DB_PER_SECOND = 20.0


class Meter:
    """Peak (instant rise, 20 dB/s fall) and RMS (100 ms) of each channel, linear 0..1.

    Threads: the feeder calls `process`; any thread may read `peak` and `rms`, which are replaced
    whole and never changed in place.
    """

    def __init__(self, rate: int, channels: int = 2) -> None:
        """For PCM of `rate` samples a second."""
        self._rate = rate
        self.peak: tuple[float, ...] = (0.0,) * channels
        self.rms: tuple[float, ...] = (0.0,) * channels

    def process(self, pcm: Audio) -> None:
        """Takes frames [n, channels] into account."""
        if len(pcm) == 0:
            return
        seconds = len(pcm) / self._rate
        fall = 10.0 ** (-_PEAK_FALL_DB_PER_SECOND * seconds / 20.0)
        peaks = np.maximum(np.abs(pcm).max(axis=0), fall * np.array(self.peak))
        keep = np.exp(-seconds / _RMS_SECONDS)
        power = (1.0 - keep) * np.mean(pcm.astype(np.float64) ** 2, axis=0)
        levels = np.sqrt(keep * np.array(self.rms) ** 2 + power)
        self.peak = tuple(float(value) for value in peaks)
        self.rms = tuple(float(value) for value in levels)


def stereo_decibels(amplitudes: tuple[float, ...]) -> tuple[float, float]:
    """Left and right in dB full scale, -120 or above; one channel stands for both."""
    left, right = (20.0 * np.log10(max(each, 1e-6)) for each in (amplitudes * 2)[:2])
    return round(float(left), 1), round(float(right), 1)
