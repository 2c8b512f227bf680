"""The level comes to what was asked, whatever the model makes of it, and accents stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.live.leveller import FREE_START_DB, LEAST_DB, MOST_DB, Leveller

BLOCK = 8192  # samples


def sound(level_db: float, samples: int = BLOCK) -> np.ndarray:
    """A square wave of a level [n, 2]."""
    wave = np.where(np.arange(samples) // 50 % 2, 1.0, -1.0) * 10.0 ** (level_db / 20.0)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def played(
    leveller: Leveller, asked_db: float, excess_db: float, seconds: float, free: bool = False
) -> list[float]:
    """Levels of the blocks of a model that is so much louder than it is told."""
    levels = []
    for _ in range(round(seconds * 44100 / BLOCK)):
        told = leveller.told(asked_db, free)
        assert told is not None
        levels.append(told + excess_db)
        leveller = leveller.after(sound(levels[-1]), asked_db, free)
    return levels


@pytest.mark.parametrize("excess_db", [0.0, 4.0, 10.0, 18.0])
@pytest.mark.parametrize("asked_db", [-30.0, -18.0])
def test_what_is_too_loud_comes_down_to_what_was_asked(asked_db, excess_db):
    levels = played(Leveller(), asked_db, excess_db, 20.0)
    assert np.abs(np.array(levels[-30:]) - asked_db).max() < 0.5
    assert min(levels) > asked_db - 0.5  # and does not fall below


def test_given_notes_may_fade_and_a_free_model_may_not():
    assert set(played(Leveller(), -18.0, -9.0, 30.0)) == {-27.0}
    assert played(Leveller(), -18.0, -9.0, 30.0, free=True)[-1] == pytest.approx(-18.0, abs=0.5)
    assert played(Leveller(), -18.0, -40.0, 90.0, free=True)[-1] == pytest.approx(-58.0 - LEAST_DB)


def test_a_free_model_begins_where_it_usually_rests():
    assert Leveller().told(-20.0, free=True) == -20.0 - FREE_START_DB
    assert Leveller().told(-20.0, free=False) == -20.0
    levels = played(Leveller(), -20.0, FREE_START_DB, 10.0, free=True)
    assert levels == pytest.approx([-20.0] * len(levels))  # nothing is left to settle
    after_notes = Leveller().after(sound(-20.0), -20.0, free=False)
    assert after_notes.told(-20.0, free=True) == pytest.approx(-20.0)


def test_notes_take_back_what_a_free_model_was_given():
    given = Leveller(over_db=-6.0, heard=0.01, asked=0.01)
    assert given.told(-20.0, free=True) == -14.0
    assert given.told(-20.0, free=False) == -20.0
    assert given.after(sound(-20.0), -20.0, free=False).over_db == pytest.approx(0.0, abs=1e-6)


def test_no_more_than_its_limit_is_taken_off():
    assert played(Leveller(), -20.0, 40.0, 60.0)[-1] == pytest.approx(20.0 - MOST_DB)


def test_another_level_is_asked_for_at_once_and_is_no_error():
    """A fader's move changes what is told by as much, and nothing swings after it."""
    leveller = Leveller()
    for _ in range(100):
        leveller = leveller.after(sound(leveller.told(-16.0, True) + 6.0), -16.0, True)
    steady = leveller.over_db
    assert leveller.told(-28.0, True) == pytest.approx(-28.0 - steady)
    for _ in range(30):
        leveller = leveller.after(sound(leveller.told(-28.0, True) + 6.0), -28.0, True)
        assert leveller.over_db == pytest.approx(steady, abs=0.1)


def test_a_silence_that_was_asked_for_changes_nothing():
    leveller = Leveller().after(sound(-6.0), -18.0, True)
    assert leveller.told(None, True) is None
    assert leveller.after(sound(-80.0), None, True) is leveller
    assert leveller.after(sound(-6.0)[:0], -18.0, True) is leveller


BLOCKS = st.tuples(st.floats(-120, 6), st.one_of(st.none(), st.floats(-72, 0)), st.booleans())


@given(st.lists(BLOCKS, max_size=60))
def test_it_stays_within_its_bounds_and_survives_its_json_form(blocks):
    leveller = Leveller()
    for level, asked, free in blocks:
        leveller = leveller.after(sound(level, 512), asked, free)
        assert LEAST_DB <= leveller.over_db <= MOST_DB
        assert math.isfinite(leveller.heard)
        assert Leveller.from_dict(leveller.to_dict()) == leveller
