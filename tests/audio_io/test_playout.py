"""The clock playout keeps time as a device would, on a clock that the test turns."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.playout import ClockPlayout


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=30))
def test_plays_what_is_due_and_counts_gaps(steps: list[tuple[int, int]]) -> None:
    """Against the arithmetic, at 1024 frames a second: one underrun for each time it ran dry."""
    now = [0.0]
    playout = ClockPlayout(1024, 100_000, clock=lambda: now[0])
    playout.service(filled=False)
    now[0] = 5.0
    assert playout.queued == 0  # not started yet
    playout.service(filled=True)
    written = due = underruns = 0
    dry = False
    for count, frames in steps:
        playout.write(np.zeros((count, 2), np.float32))
        written += count
        due += frames
        now[0] += frames / 1024
        if due - written > 5 * 1024:
            break
        assert playout.queued == max(0, written - due)
        underruns += due > written and not dry
        dry = due > written
        assert playout.underruns == underruns


def test_time_starts_anew_after_the_machine_slept() -> None:
    now = [0.0]
    playout = ClockPlayout(1000, 8192, clock=lambda: now[0])
    playout.service(filled=True)
    now[0] = 3600.0
    assert (playout.queued, playout.underruns) == (0, 1)
    playout.write(np.zeros((500, 2), np.float32))
    assert playout.queued == 500
    now[0] += 0.1
    assert playout.queued in (400, 401)  # up to rounding


def test_overwrite_wraps_around() -> None:
    playout = ClockPlayout(1000, 8, channels=1)
    for value in range(3):
        playout.write(np.full((4, 1), value, np.float32))
    playout.overwrite(6, np.arange(10, 15, dtype=np.float32)[:, None])
    assert playout._store[:, 0].tolist() == [12, 13, 14, 2, 1, 1, 10, 11]
    assert playout.written == 12
