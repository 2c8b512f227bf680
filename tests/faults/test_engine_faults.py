"""Engines that are killed, stall, raise, go mad or run out of memory, on the real process set.

`pytest -m slow tests/faults`. The music goes on without a click, a standby takes over, the controls
are as they were, and one line says why.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lmdm.cli.stage.performance import Performance
from lmdm.live.messages import NoteOn, SetGuidance
from tests.faults.listening import CLICK, HOLE_MS, Listener, click, hole_ms, until

pytestmark = [pytest.mark.slow, pytest.mark.jack]

RECOVERY_SECONDS = 3.0  # promised

FAULTS = {
    "SIGKILL": "the engine ended (signal 9)",
    "SIGSTOP": "the engine gave no sign of life for",
    "exception": "ValueError: an unforeseen case",
    "memory": "the memory is full (CUDA out of memory. Tried to allocate 2.00 GiB.): close other",
    "nan-always": "is not finite, with and without its context",
}


def _strike(fault: str, performance: Performance, drill: Path) -> None:
    if fault.startswith("SIG"):
        engine = performance.supervisor.process_id
        assert engine is not None
        os.kill(engine, getattr(signal, fault))
    else:
        (drill / fault).touch()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_fails_is_replaced(
    fault: str, ready: Performance, drill: Path, note: Callable[..., None]
) -> None:
    before = ready.snapshot()
    guidance = 1.0 + before.restarts % 5 + 0.5
    ready.send(SetGuidance(guidance))
    ready.send(NoteOn(60))
    until(lambda: ready.snapshot().held == (60,), "the note")
    with Listener(ready) as listener:
        time.sleep(1.5)
        at, holds = listener.heard, ready.snapshot().underruns
        begun = time.monotonic()
        _strike(fault, ready, drill)
        until(lambda: ready.snapshot().restarts > before.restarts, "a new engine")
        noticed = time.monotonic() - begun
        block = ready.snapshot().block
        until(lambda: ready.snapshot().block > block, "a new block")
        recovery = time.monotonic() - begun
        time.sleep(2.0)  # the lead plays out first
        over = listener.heard
        time.sleep(1.5)
        sound = listener.sound()
    after = ready.snapshot()
    figures = {
        "fault": fault,
        "click": round(click(sound, at, over), 2),
        "hole_ms": round(hole_ms(sound, 48000), 1),
        "recovery_s": round(recovery, 2),
        "after_notice_s": round(recovery - noticed, 2),
        "loops": after.underruns - holds,
        "line": next((line for line in listener.lines if FAULTS[fault] in line), ""),
    }
    note(**figures)
    assert FAULTS[fault] in figures["line"]
    assert "\n" not in figures["line"]
    assert figures["click"] < CLICK
    assert figures["hole_ms"] < HOLE_MS
    assert recovery < RECOVERY_SECONDS
    assert (after.status, after.guidance, after.held) == ("playing", guidance, (60,))


def test_one_block_that_is_not_finite_costs_its_context_only(
    ready: Performance, drill: Path, note: Callable[..., None]
) -> None:
    restarts = ready.snapshot().restarts
    with Listener(ready) as listener:
        time.sleep(1.5)
        at = listener.heard
        (drill / "nan").touch()
        recovery = until(lambda: "was not finite" in " ".join(listener.lines), "the line")
        time.sleep(2.0)
        over = listener.heard
        time.sleep(1.5)
        sound = listener.sound()
    line = next(line for line in listener.lines if "was not finite" in line)
    note(
        fault="NaN once", click=round(click(sound, at, over), 2),
        hole_ms=round(hole_ms(sound, 48000), 1), recovery_s=round(recovery, 2), line=line,
    )  # fmt: skip
    assert ready.snapshot().restarts == restarts
    assert click(sound, at, over) < CLICK
    assert hole_ms(sound, 48000) < HOLE_MS
