"""What a block is asked for where the musician leaves it open."""

from __future__ import annotations

import numpy as np

from lmdm.conditioning.notes import PITCHES, NoteFrames
from lmdm.live.clock import MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.hearing import ANSWER_DB, DRIFT_BARS, asked_db, noise_number


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


def test_held_noise_returns_in_every_bar_and_drifting_noise_turns_into_another() -> None:
    clock, bar, block = MusicalClock.at_tempo(120.0), 88200, 8192  # a bar has 10.8 blocks
    places = [number * bar + within * block for number in range(20) for within in range(3)]

    def noises(mode: str) -> list[tuple[int, tuple[int, float]]]:
        return [noise_number(mode, n, clock, place, block) for n, place in enumerate(places)]

    assert noises("run") == [(n, (0, 0.0)) for n in range(60)]
    assert noises("hold") == noises("hold")[:3] * 20
    drifting = noises("drift")
    assert drifting[:3] == noises("hold")[:3]
    shares = [share for _, (_, share) in drifting[::3]]
    assert shares == [n % DRIFT_BARS / DRIFT_BARS for n in range(20)]
    for (before, (towards, _)), (after, (_, share)) in zip(drifting, drifting[3:], strict=False):
        assert after == (before if share else towards)
