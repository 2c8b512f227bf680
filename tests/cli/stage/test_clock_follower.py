"""Following another clock: few corrections, none audible late, start and stop obeyed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lmdm.cli.stage.clock_follower import TOLERANCE_SECONDS, ClockFollower
from lmdm.live.messages import Message, Pause, Play, SetClock, SetTempo


@dataclass
class Line:
    """A clock that ramps from 120 bpm by `slope` bpm a second after 2 s."""

    slope: float = 0.0
    running: bool = True
    starts: int = 0
    there: bool = True
    now: float = 0.0
    base: float = 0.0

    @property
    def bpm(self) -> float:
        return 120.0 + self.slope * max(0.0, self.now - 2.0)

    def locked(self, at: float) -> bool:
        return self.there

    def truth(self, at: float) -> float:
        ramp = max(0.0, at - 2.0)
        return self.base + 2.0 * at + self.slope * ramp**2 / 120.0

    def beat(self, at: float) -> float:
        """As a follower knows it: the present tempo goes on."""
        return self.truth(self.now) + (at - self.now) * self.bpm / 60.0


def follow(line: Line, seconds: float, horizon: float = 0.3) -> tuple[list[Message], float]:
    """Messages sent, and how far ours was from the truth at worst, in ms; corrections act late."""
    follower, sent = ClockFollower(line), []
    ours: list[tuple[float, float, float]] = []
    worst, step = 0.0, 0.05
    for number in range(round(seconds / step)):
        line.now = number * step
        for message in follower.due(line.now):
            sent.append(message)
            if isinstance(message, SetClock):
                ours.append((line.now, message.beat, message.bpm))
        acting = [each for each in ours if each[0] + horizon <= line.now] or ours[:1]
        if acting and line.now > 1.0:
            at, beat, bpm = acting[-1]
            apart = beat + (line.now - at) * bpm / 60.0 - line.truth(line.now)
            worst = max(worst, abs(apart) * 60_000.0 / line.bpm)
    return sent, worst


def test_a_steady_clock_needs_one_message() -> None:
    sent, worst = follow(Line(), 20.0)
    assert sent == [SetClock(120.0, 0.0)]
    assert worst < 1e-6


@pytest.mark.parametrize("slope", [0.4, 2.0])
def test_a_ramp_is_followed_with_few_corrections(slope: float) -> None:
    sent, worst = follow(Line(slope), 8.0)
    assert worst < 3 * 1000 * TOLERANCE_SECONDS
    assert len(sent) < 6.0 / 0.15 / 2


def test_stop_and_start() -> None:
    line = Line()
    follower = ClockFollower(line)
    assert follower.due(0.0) == [SetClock(120.0, 0.0)]
    line.running, line.now = False, 1.2
    assert follower.due(1.2) == [Pause()]
    line.slope, line.now = 1.0, 5.0
    assert follower.due(2.0) == [SetTempo(123.0)]
    line.running, line.starts, line.base = True, 1, -10.0
    assert follower.due(5.0) == [Play(), SetClock(123.0, line.truth(5.0))]


def test_a_jump_is_taken_over_at_once() -> None:
    line = Line()
    follower = ClockFollower(line)
    follower.due(0.0)
    line.base, line.now, line.starts = 100.0, 0.05, 1
    assert follower.due(0.05) == [SetClock(120.0, 100.1)]


def test_no_clock_is_told_and_changes_nothing() -> None:
    line = Line(there=False)
    follower = ClockFollower(line)
    assert follower.text(0.0) == "waiting for a clock"
    assert follower.due(0.0) == []
    line.there = True
    follower.due(1.0)
    assert follower.text(1.0) == "following 120.0 bpm"
    line.there = False
    assert follower.due(4.0) == []
    assert "no clock for 3 s" in follower.text(4.0)


def test_sound_that_was_missing_is_caught_up_with() -> None:
    """What is heard slips by 80 ms: one correction, and only once the last one has settled."""
    line = Line()
    follower, sent = ClockFollower(line), []
    for number in range(100):
        line.now = number * 0.05
        slipped = 0.16 if line.now > 0.5 and not sent[1:] else 0.0
        sent += follower.due(line.now, line.truth(line.now) - slipped)
    assert [type(message) for message in sent] == [SetClock, SetClock]
    assert sent[1].beat == pytest.approx(2.0 * 1.7, abs=0.11)


def test_noise_in_what_is_heard_is_no_slip() -> None:
    line = Line()
    follower, sent = ClockFollower(line), []
    for number in range(200):
        line.now = number * 0.05
        noise = 0.06 * (-1) ** number if number % 5 else 0.0
        sent += follower.due(line.now, line.truth(line.now) + noise)
    assert len(sent) == 1
