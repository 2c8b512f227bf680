"""Keeps the music as loud as was asked for, by asking a model that plays too loud for less.

The starter hears a loudness, but exceeds it with full chords and some prompts by up to 14 dB, and
what clips soon sounds of clipping. The sound is compared with what was asked over a second or two,
and what it is too loud by is taken off what the model is told: an integrator, slow enough that the
music keeps its accents, and never in the other direction, since rests and fading notes are meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from lmdm.live.clock import SAMPLE_RATE

WINDOW_SECONDS = 1.5  # over which levels are compared
SETTLING_SECONDS = 2.0  # in which a difference is mostly made up for
MOST_DB = 14.0
QUIETEST = 1e-9  # power, -90 dB


@dataclass(frozen=True)
class Leveller:
    """The state between two blocks.

    over_db: what is taken off, 0 to 14; heard, asked: mean power of the sound lately, and that
    which was asked for, 0 before the first sound.
    """

    over_db: float = 0.0
    heard: float = 0.0
    asked: float = 0.0

    def told(self, asked_db: float | None) -> float | None:
        """dB RMS that the model is told where so much is asked for; None stays None."""
        return None if asked_db is None else asked_db - self.over_db

    def after(self, pcm: np.ndarray, asked_db: float | None) -> Leveller:
        """After a block of sound [n, 2] for which so much was asked; silence says nothing."""
        if asked_db is None or len(pcm) == 0:
            return self
        seconds = len(pcm) / SAMPLE_RATE
        share = 1.0 - math.exp(-seconds / WINDOW_SECONDS) if self.asked else 1.0
        power = float(np.square(pcm, dtype=np.float64).mean())
        heard = self.heard + share * (power - self.heard)
        asked = self.asked + share * (10.0 ** (asked_db / 10.0) - self.asked)
        error_db = 10.0 * math.log10(max(heard, QUIETEST) / asked)
        over_db = self.over_db + seconds / SETTLING_SECONDS * error_db
        return Leveller(min(max(over_db, 0.0), MOST_DB), heard, asked)

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Leveller:
        """Of a JSON form."""
        return cls(**{name: float(value) for name, value in values.items()})
