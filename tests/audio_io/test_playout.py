"""The clock playout keeps time as a device would, on a clock that the test turns."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.playout import ClockPlayout


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=30))
def test_plays_what_is_due_and_counts_gaps(steps: list[tuple[int, int]]) -> None:
    """Against the arithmetic: frames due by the clock, one underrun for each time it ran dry."""
    now = [0.0]
    playout = ClockPlayout(1000, 100_000, clock=lambda: now[0])
    playout.service(filled=False)
    now[0] = 5.0
    assert playout.queued == 0  # not started yet
    playout.service(filled=True)
    waiting = underruns = 0
    for written, milliseconds in steps:
        playout.write(np.zeros((written, 2), np.float32))
        waiting += written
        now[0] += (milliseconds + 0.25) / 1000  # a quarter off the edge: no rounding at stake
        waiting -= milliseconds
        if waiting < 0:
            underruns += 1
            waiting = 0
        now[0] -= 0.25 / 1000
        queued_early = playout.queued
        assert abs(queued_early - waiting) <= 1
        waiting = queued_early
    assert abs(playout.underruns - underruns) <= len(steps)
    assert playout.written == sum(written for written, _ in steps)


def test_overwrite_wraps_around() -> None:
    playout = ClockPlayout(1000, 8, channels=1)
    for value in range(3):
        playout.write(np.full((4, 1), value, np.float32))
    playout.overwrite(6, np.arange(10, 15, dtype=np.float32)[:, None])
    assert playout.store[:, 0].tolist() == [12, 13, 14, 2, 1, 1, 10, 11]
    assert playout.written == 12
