"""Keeps the music as loud as was asked for, by asking a model that plays louder for less.

The starter hears a loudness, but exceeds it with full chords and some prompts by up to 20 dB, and
what clips soon sounds of clipping; left to itself it may fade away. The sound is compared with what
was asked over about a second, and what it is too loud by is taken off what the model is told: an
integrator, slow enough that the music keeps its accents. Where the model is free it is asked for
more as well; where notes are given it is not, since rests and fading notes are meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from lmdm.live.clock import SAMPLE_RATE

WINDOW_SECONDS = 0.8  # over which levels are compared
SETTLING_SECONDS = 3.0  # in which a difference is mostly made up for, without falling below
MOST_DB, LEAST_DB = 20.0, -12.0
FREE_START_DB = -4.0  # what a free starter needs at rest, before anything was heard of it
QUIETEST = 1e-9  # power, -90 dB


@dataclass(frozen=True)
class Leveller:
    """The state between two blocks.

    over_db: what is taken off once there was sound, -12 to 20; heard, asked: mean power of the
    sound lately, and that which was asked for, 0 before the first sound.
    """

    over_db: float = 0.0
    heard: float = 0.0
    asked: float = 0.0

    def told(self, asked_db: float | None, free: bool) -> float | None:
        """dB RMS that the model is told where so much is asked for; None stays None.

        free: whether it plays what it likes, no notes being given.
        """
        return None if asked_db is None else asked_db - self._over_db(free)

    def after(self, pcm: np.ndarray, asked_db: float | None, free: bool) -> Leveller:
        """After a block of sound [n, 2] for which so much was asked; silence says nothing."""
        if asked_db is None or len(pcm) == 0:
            return self
        seconds = len(pcm) / SAMPLE_RATE
        share = 1.0 - math.exp(-seconds / WINDOW_SECONDS) if self.asked else 1.0
        power = float(np.square(pcm, dtype=np.float64).mean())
        heard = self.heard + share * (power - self.heard)
        asked = self.asked + share * (10.0 ** (asked_db / 10.0) - self.asked)
        error_db = 10.0 * math.log10(max(heard, QUIETEST) / asked)
        over_db = self._over_db(free) + seconds / SETTLING_SECONDS * error_db
        return Leveller(min(max(over_db, _least(free)), MOST_DB), heard, asked)

    def _over_db(self, free: bool) -> float:
        if free and not self.asked:
            return FREE_START_DB
        return max(self.over_db, _least(free))

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Leveller:
        """Of a JSON form."""
        return cls(**{name: float(value) for name, value in values.items()})


def _least(free: bool) -> float:
    return LEAST_DB if free else 0.0
