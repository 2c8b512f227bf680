"""What a block is asked for where the musician leaves it open."""

from __future__ import annotations

import numpy as np
import pytest

from lmdm.conditioning.notes import PITCHES, NoteFrames
from lmdm.live.hearing import answer_db


def held(*pitches: int) -> NoteFrames:
    sounding = np.zeros((PITCHES, 4), np.float32)
    sounding[list(pitches), 1:] = 1.0
    return NoteFrames(np.zeros_like(sounding), sounding)


@pytest.mark.parametrize(
    ("notes", "level"),
    [
        (None, -18.0),
        (held(), None),
        (held(60), -18.0),
        (held(60, 64), -22.0),
        (held(*range(36, 60)), -26.0),
    ],
    ids=["free", "silence", "a key", "two keys", "a band"],
)
def test_the_level_asked_for_falls_with_the_number_of_notes(
    notes: NoteFrames | None, level: float | None
) -> None:
    assert answer_db(notes) == level
