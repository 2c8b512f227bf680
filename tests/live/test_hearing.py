"""What a block is asked for where the musician leaves it open."""

from __future__ import annotations

import numpy as np

from lmdm.conditioning.notes import PITCHES, NoteFrames
from lmdm.live.controls import Controls
from lmdm.live.hearing import ANSWER_DB, asked_db


def held(*pitches: int) -> NoteFrames:
    sounding = np.zeros((PITCHES, 4), np.float32)
    sounding[list(pitches), 1:] = 1.0
    return NoteFrames(np.zeros_like(sounding), sounding)


def test_the_level_asked_for() -> None:
    """The musician's; else one at which a key is heard, and silence where no key is held."""
    free, own = Controls(), Controls(loudness_db=-30.0)
    for notes in (None, held(60), held(*range(36, 60))):
        assert asked_db(free, notes) == ANSWER_DB
    assert asked_db(free, held()) is None
    for notes in (None, held(), held(60)):
        assert asked_db(own, notes) == -30.0
