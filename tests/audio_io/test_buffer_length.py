"""The buffer's length: grows after lateness, shrinks after a stretch without, never jumps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io.buffer_length import CALM_SECONDS, GROWTH, LENGTHENING, SHORTENING, BufferLength

TICK = 0.008
ASKED, MOST = 90.0, 350.0


class Feeder:
    """A feeder on a clock that the test turns."""

    def __init__(self) -> None:
        self.now, self.length = 0.0, BufferLength(ASKED, MOST)
        self.told: list[str] = []

    def comes(self, after: float, counts: bool = True) -> None:
        self.now += after
        self.told += filter(None, [self.length.turn(self.now, counts)])

    def on_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.comes(TICK)


def test_a_punctual_feeder_leaves_it_as_asked() -> None:
    feeder = Feeder()
    for _ in range(10):
        feeder.on_time(1.0)
        feeder.comes(0.04)  # less than half of the buffer
    assert (feeder.length.ms, feeder.told) == (ASKED, [])


def test_it_grows_after_lateness_and_goes_back_after_a_calm_stretch() -> None:
    feeder = Feeder()
    feeder.on_time(1.0)
    feeder.comes(0.08)
    feeder.on_time(2.0)
    assert feeder.length.ms == pytest.approx(GROWTH * 80.0)
    feeder.on_time(CALM_SECONDS - 5.0)
    assert feeder.length.ms == pytest.approx(GROWTH * 80.0)  # still remembered
    feeder.on_time(CALM_SECONDS + 15.0)
    assert feeder.length.ms == ASKED
    assert ["longer" in feeder.told[0], "back to 90 ms" in feeder.told[1]] == [True, True]
    assert len(feeder.told) == 2


def test_lateness_that_cannot_be_heard_does_not_count() -> None:
    feeder = Feeder()
    feeder.comes(TICK)
    feeder.comes(0.5, counts=False)
    feeder.on_time(1.0)
    assert (feeder.length.goal, feeder.told) == (ASKED, [])


@given(st.lists(st.floats(0.001, 2.0), max_size=100))
def test_it_stays_within_its_bounds_and_moves_little_by_little(gaps: list[float]) -> None:
    feeder = Feeder()
    for gap in gaps:
        before = feeder.length.ms
        feeder.comes(gap)
        assert ASKED <= feeder.length.ms <= MOST
        moved, passed = feeder.length.ms - before, 1000.0 * gap
        assert -SHORTENING * passed - 1e-6 <= moved <= LENGTHENING * passed + 1e-6
