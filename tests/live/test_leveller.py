"""The level comes to what was asked, whatever the model makes of it, and accents stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.live.leveller import MOST_DB, Leveller

BLOCK = 8192  # samples


def sound(level_db: float, samples: int = BLOCK) -> np.ndarray:
    """A square wave of a level [n, 2]."""
    wave = np.where(np.arange(samples) // 50 % 2, 1.0, -1.0) * 10.0 ** (level_db / 20.0)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def played(leveller: Leveller, asked_db: float, excess_db: float, seconds: float) -> list[float]:
    """Levels of the blocks of a model that is so much louder than it is told."""
    levels = []
    for _ in range(round(seconds * 44100 / BLOCK)):
        told = leveller.told(asked_db)
        assert told is not None
        levels.append(told + excess_db)
        leveller = leveller.after(sound(levels[-1]), asked_db)
    return levels


@pytest.mark.parametrize("excess_db", [0.0, 4.0, 10.0, 13.0])
@pytest.mark.parametrize("asked_db", [-30.0, -18.0])
def test_what_is_too_loud_comes_down_to_what_was_asked(asked_db, excess_db):
    levels = played(Leveller(), asked_db, excess_db, 20.0)
    assert np.abs(np.array(levels[-30:]) - asked_db).max() < 0.5
    assert min(levels) > asked_db - 0.5 * excess_db - 0.1  # and does not fall far below


def test_what_is_too_soft_is_left_as_it_is():
    assert played(Leveller(), -18.0, -9.0, 10.0) == [-27.0] * len(played(Leveller(), 0, 0, 10.0))


def test_no_more_than_its_limit_is_taken_off():
    assert played(Leveller(), -20.0, 40.0, 60.0)[-1] == pytest.approx(20.0 - MOST_DB)


def test_another_level_is_asked_for_at_once_and_is_no_error():
    """A fader's move changes what is told by as much, and nothing swings after it."""
    leveller = Leveller()
    for _ in range(100):
        leveller = leveller.after(sound(leveller.told(-16.0) + 6.0), -16.0)
    steady = leveller.over_db
    assert leveller.told(-28.0) == pytest.approx(-28.0 - steady)
    for _ in range(30):
        leveller = leveller.after(sound(leveller.told(-28.0) + 6.0), -28.0)
        assert leveller.over_db == pytest.approx(steady, abs=0.1)


def test_a_silence_that_was_asked_for_changes_nothing():
    leveller = Leveller().after(sound(-6.0), -18.0)
    assert leveller.told(None) is None
    assert leveller.after(sound(-80.0), None) is leveller
    assert leveller.after(sound(-6.0)[:0], -18.0) is leveller


@given(
    st.lists(st.tuples(st.floats(-120, 6), st.one_of(st.none(), st.floats(-72, 0))), max_size=60)
)
def test_it_stays_within_its_bounds_and_survives_its_json_form(blocks):
    leveller = Leveller()
    for level, asked in blocks:
        leveller = leveller.after(sound(level, 512), asked)
        assert 0.0 <= leveller.over_db <= MOST_DB
        assert math.isfinite(leveller.heard)
        assert Leveller.from_dict(leveller.to_dict()) == leveller
