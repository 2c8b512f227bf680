"""MIDI clock: what comes in is followed, what goes out can be followed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.clock_input import ClockInput
from audio_io.clock_output import ClockOutput, Position, TickPlan
from audio_io.midi_events import (
    Clock,
    Continue,
    MidiEvent,
    SongPosition,
    Start,
    Stop,
    encode,
    parse,
)

TICK = 60 / 125 / 24


def run(clock: ClockInput, ticks: int, start: float = 0.0) -> float:
    """Feeds ticks of 125 bpm; returns the time of the next."""
    for number in range(ticks):
        clock.feed(Clock(start + number * TICK))
    return start + ticks * TICK


def test_start_stop_continue_and_song_position() -> None:
    clock = ClockInput()
    clock.feed(Stop(0.0))
    now = run(clock, 50)  # ticks before the start tell the tempo
    assert (clock.running, clock.beat(now)) == (False, 0.0)
    assert clock.bpm == pytest.approx(125.0)
    clock.feed(Start(now))
    assert not clock.running  # only with the next tick
    now = run(clock, 24, now)
    assert clock.running
    assert clock.beat(now) == pytest.approx(1.0)
    clock.feed(Stop(now))
    assert clock.beat(now + 5.0) == 1.0
    now = run(clock, 30, now)
    clock.feed(Continue(now))
    now = run(clock, 12, now)
    assert clock.beat(now) == pytest.approx(1.5)
    clock.feed(Stop(now))
    clock.feed(SongPosition(now, 66))
    clock.feed(Continue(now))
    now = run(clock, 6, now)
    assert clock.beat(now) == pytest.approx(16.75)
    assert clock.starts == 3


@pytest.mark.parametrize("goes_on", [Start(0.0), Continue(0.0), None], ids=str)
def test_a_song_that_jumps_never_stands_still(goes_on: MidiEvent | None) -> None:
    """Sequencers that loop say stop, position, continue; or a position alone; or start."""
    clock = ClockInput()
    clock.feed(Start(0.0))
    now = run(clock, 96)
    if goes_on is not None:
        clock.feed(Stop(now - 0.6 * TICK))
    clock.feed(SongPosition(now - 0.5 * TICK, 0))
    if goes_on is not None:
        clock.feed(type(goes_on)(now - 0.5 * TICK))
    assert clock.running
    assert clock.beat(now - 0.1 * TICK) == pytest.approx(4.0, abs=0.01)
    now = run(clock, 24, now)
    assert (clock.running, clock.starts) == (True, 2)
    assert clock.beat(now) == pytest.approx(1.0)


def test_ticks_alone_are_a_clock_too() -> None:
    clock = ClockInput()
    now = run(clock, 36)
    assert clock.running
    assert clock.beat(now) == pytest.approx(1.5)


def test_a_start_out_of_phase_moves_the_position_and_keeps_the_tempo() -> None:
    clock = ClockInput()
    now = run(clock, 48)
    clock.feed(Start(now))
    now = run(clock, 24, now + 0.4 * TICK)
    assert clock.bpm == pytest.approx(125.0, abs=0.01)
    assert clock.beat(now) == pytest.approx(1.0, abs=1e-3)


def test_lock_and_loss() -> None:
    clock = ClockInput()
    assert not clock.locked(0.0)
    now = run(clock, 24)
    assert clock.locked(now)
    assert not clock.locked(now + 0.6)


@settings(max_examples=50)
@given(
    data=st.binary(max_size=300).map(
        lambda raw: bytes(0xF0 | byte & 0x0F if byte & 0x80 else byte for byte in raw)
    )
)
def test_no_bytes_break_the_clock(data: bytes) -> None:
    clock = ClockInput()
    for index, byte in enumerate(data):
        for event in parse(bytes((byte,)), index * 0.01):
            clock.feed(event)
        assert clock.bpm >= 0.0
        assert clock.beat(index * 0.01) == clock.beat(index * 0.01)  # not NaN


def played(positions: list[Position]) -> list[MidiEvent]:
    plan = TickPlan()
    return [event for position in positions for event in plan.due(position)]


def test_a_song_from_its_beginning_is_started() -> None:
    events = played([Position(tick / 24, 120.0) for tick in range(49)])
    assert events[0] == Start(0.0)
    assert events[1:] == [Clock(0.0)] * 49


def test_a_song_that_runs_is_continued_from_the_next_sixteenth() -> None:
    events = played([Position(2.1 + tick / 48, 120.0) for tick in range(20)])
    assert events[:3] == [SongPosition(0.0, 9), Continue(0.0), Clock(0.0)]
    assert set(events[3:]) == {Clock(0.0)}
    assert len(events) == 2 + int((2.1 + 19 / 48 - 2.25) * 24) + 1


def test_a_jump_is_told_and_a_stop_too() -> None:
    events = played([Position(0.0, 120.0), Position(40.0, 120.0), Position(40.1, 120.0, False)])
    assert events == [
        Start(0.0), Clock(0.0), Stop(0.0), SongPosition(0.0, 160), Continue(0.0), Clock(0.0),
        Stop(0.0),
    ]  # fmt: skip


def test_late_by_a_few_ticks_is_caught_up() -> None:
    events = played([Position(0.0, 120.0), Position(5.5 / 24, 120.0)])
    assert events.count(Clock(0.0)) == 6


def test_what_goes_out_comes_in_again() -> None:
    """Through bytes, in real time: the receiver finds the sender's tempo and position."""
    clock = ClockInput()
    began = time.perf_counter()

    def position() -> Position:
        return Position((time.perf_counter() - began) * 140.0 / 60.0, 140.0)

    def send(event: MidiEvent) -> None:
        for each in parse(encode(event), time.perf_counter()):
            clock.feed(each)

    output = ClockOutput(send, position)
    time.sleep(2.0)
    now = time.perf_counter()
    assert clock.running
    assert clock.bpm == pytest.approx(140.0, abs=2.0)
    assert clock.beat(now) == pytest.approx((now - began) * 140.0 / 60.0, abs=0.05)
    output.close()
    assert not clock.running
    assert output.lateness_ms().ticks > 50
