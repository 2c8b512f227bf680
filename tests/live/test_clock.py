"""The clock runs without jumps, whatever the tempo does, and is the same whoever asks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.live.clock import SAMPLE_RATE, MusicalClock

tempi = st.lists(st.tuples(st.integers(0, 10**7), st.floats(20, 400)), max_size=8).map(sorted)


def ramped(changes):
    clock = MusicalClock.at_tempo(120.0)
    for sample, bpm in changes:
        clock = clock.with_tempo(bpm, sample)
    return clock


@given(tempi, st.integers(1, 10**7))
def test_a_tempo_change_never_jumps_and_the_beat_always_rises(changes, sample):
    clock = ramped(changes)
    step = clock.beat(sample) - clock.beat(sample - 1)
    assert 20 / 60 / SAMPLE_RATE * 0.99 < step < 400 / 60 / SAMPLE_RATE * 1.01


@given(tempi, st.integers(0, 10**7), st.integers(0, 10**7))
def test_forgetting_the_past_does_not_change_the_future(changes, now, later):
    clock = ramped(changes)
    sample = now + later
    assert clock.since(now).beat(sample) == clock.beat(sample)
    assert clock.since(now).bpm(sample) == clock.bpm(sample)


def test_beats_of_a_constant_tempo():
    clock = MusicalClock.at_tempo(90.0)
    assert clock.beat(SAMPLE_RATE * 60) == pytest.approx(90.0, abs=1e-12)
    assert clock.with_beat(0.0, SAMPLE_RATE).beat(SAMPLE_RATE * 3) == pytest.approx(3.0)


@given(tempi)
def test_it_survives_json(changes):
    clock = ramped(changes)
    assert MusicalClock.from_dict(json.loads(json.dumps(clock.to_dict()))) == clock
