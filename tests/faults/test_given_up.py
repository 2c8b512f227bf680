"""Engines of which none lasts: the performance ends, with the reason, and without a click.

In a module of its own, so that no other performance obeys the same drill.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lmdm.cli.stage.performance import Performance
from lmdm.live.supervisor import MOST_FAILURES
from tests.faults.listening import CLICK, HOLE_MS, Listener, click, hole_ms, until

pytestmark = [pytest.mark.slow, pytest.mark.jack]


def test_engines_that_always_fail_are_given_up_with_the_reason(
    ready: Performance, drill: Path, note: Callable[..., None]
) -> None:
    def failed() -> bool:
        (drill / "exception").touch()
        return ready.snapshot().status == "failed"

    with Listener(ready) as listener:
        time.sleep(1.5)
        at = listener.heard
        given_up = until(failed, "that it is given up", patience=120.0)
        time.sleep(2.0)  # what is left in the ring plays out, and the last bars loop
        over = listener.heard
        time.sleep(1.5)
        sound = listener.sound()
    figures = {
        "fault": "every engine raises an exception",
        "click": round(click(sound, at, over), 2),
        "hole_ms": round(hole_ms(sound, 48000), 1),
        "given_up_s": round(given_up, 2),
        "engines": ready.snapshot().restarts + 1,
        "line": listener.lines[-1],
    }
    note(**figures)
    assert figures["engines"] == MOST_FAILURES + 1
    assert figures["line"] == "ValueError: an unforeseen case, again and again"
    assert figures["click"] < CLICK
    assert figures["hole_ms"] < HOLE_MS
    with pytest.raises(RuntimeError, match="an unforeseen case, again and again"):
        ready.check()
