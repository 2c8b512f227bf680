"""Loudness: how loud the mix is around a frame."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from lmdm.conditioning.control import Array, Control, over_frames

SILENCE_LEVEL = -1.0  # level at and below -48 dB RMS
MIDDLE_DB = -24.0  # dB RMS of level 0
SPAN_DB = 24.0  # dB from level 0 to level 1


def level_of_db(decibels: float) -> float:
    """dB RMS (full scale 0) -> level in [-1, 1]."""
    return min(max((decibels - MIDDLE_DB) / SPAN_DB, SILENCE_LEVEL), 1.0)


def db_of_level(level: float) -> float:
    """Level in [-1, 1] -> dB RMS."""
    return MIDDLE_DB + SPAN_DB * level


def level_of_rms(rms: float) -> float:
    """Root mean square of samples in [-1, 1] -> level in [-1, 1]."""
    return level_of_db(20.0 * math.log10(rms)) if rms > 0.0 else SILENCE_LEVEL


class Loudness(Control[ArrayLike]):
    """given, level. The value is a level, a number or [frames]; see `level_of_db`."""

    name = "loudness"
    channels = 2
    given = 0
    range = (-1.0, 1.0)
    dropout = 0.5
    messages = ("SetLoudness",)
    labels = "loudness"
    measure = "mean absolute error of the level, in dB"

    def write(self, value: ArrayLike, features: Array) -> None:
        """See `Control.write`."""
        features[0] = 1.0
        features[1] = over_frames(value, features, "level").clip(*self.range)
