"""MIDI clock out: ticks at their moment, from a musical position that is asked for again and again.

A thread of raised priority sleeps until the next of 24 ticks a beat is due, as the newest position
and tempo say, and sends it. How late each tick left is measured: `lateness_ms`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audio_io.clock_input import TICKS
from audio_io.midi_events import Clock, Continue, MidiEvent, SongPosition, Start, Stop
from audio_io.priority import raise_thread_priority

_LOOK_SECONDS = 0.02  # the position is asked for at least so often
_JUMP_TICKS = 6  # a difference of a sixteenth is a jump, less is caught up tick by tick
_SIXTEENTH = TICKS // 4
_MOST_SIXTEENTHS = (1 << 14) - 1


@dataclass(frozen=True)
class Position:
    """Where the music is at this moment: beats, beats a minute, and whether it runs."""

    beat: float
    bpm: float
    running: bool = True


@dataclass(frozen=True)
class Lateness:
    """How late ticks left, in ms, over the last 1000."""

    p50: float
    p95: float
    worst: float
    ticks: int


class TickPlan:
    """Which messages are due for a position; knows no time.

    A song that begins at its first beat is started; one that runs already is continued from the
    next sixteenth, whose number is sent before, and so is one that jumps.
    """

    def __init__(self) -> None:
        self._next: int | None = None  # tick number, None while stopped
        self._joined = False  # whether the tick number `_next` is awaited to continue from there

    def due(self, position: Position) -> list[MidiEvent]:
        """What to send now."""
        if not position.running or position.bpm <= 0.0:
            stopped, self._next, self._joined = self._next is not None, None, False
            return [Stop(0.0)] if stopped else []
        tick = position.beat * TICKS
        events: list[MidiEvent] = []
        if self._next is None or abs(tick - self._next) > _JUMP_TICKS + 1:
            events += self._join(tick)
        assert self._next is not None
        while self._next <= tick:
            if not self._joined:
                events.append(Continue(0.0) if self._next else Start(0.0))
                self._joined = True
            events.append(Clock(0.0))
            self._next += 1
        return events

    def _join(self, tick: float) -> list[MidiEvent]:
        """Sends the song position of the sixteenth to come, and waits for it."""
        sent: list[MidiEvent] = [Stop(0.0)] if self._next is not None else []
        sixteenth = max(0, int(np.ceil((tick - 0.5) / _SIXTEENTH)))
        self._next, self._joined = sixteenth * _SIXTEENTH, False
        if sixteenth:
            sent.append(SongPosition(0.0, sixteenth % (_MOST_SIXTEENTHS + 1)))
        return sent

    def wait(self, position: Position) -> float:
        """Seconds until the next tick is due."""
        if self._next is None:
            return _LOOK_SECONDS
        return max(0.0, (self._next / TICKS - position.beat) * 60.0 / position.bpm)


class ClockOutput:
    """Sends a clock for as long as it is open.

    Threads: one thread of its own calls `position` and `send`, both of which must return at once.
    """

    def __init__(
        self, send: Callable[[MidiEvent], None], position: Callable[[], Position | None]
    ) -> None:
        """`position` gives None while there is nothing to tell."""
        self._send, self._position = send, position
        self._late: deque[float] = deque(maxlen=1000)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="midi clock out", daemon=True)
        self._thread.start()

    def lateness_ms(self) -> Lateness:
        """How late the ticks left."""
        late = np.array(self._late or [0.0])
        p50, p95 = np.percentile(late, [50, 95])
        return Lateness(float(p50), float(p95), float(late.max()), len(self._late))

    def close(self) -> None:
        """Sends Stop if the song runs, and ends."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        raise_thread_priority()
        plan, due_at = TickPlan(), None
        while not self._closing.is_set():
            position = self._position()
            now = time.perf_counter()
            if position is None:
                position = Position(0.0, 0.0, running=False)
            for event in plan.due(position):
                self._send(event)
                if isinstance(event, Clock) and due_at is not None:
                    self._late.append(1000.0 * (now - due_at))
                    due_at = None
            wait = plan.wait(position)
            due_at = now + wait if wait < _LOOK_SECONDS else None
            time.sleep(min(wait, _LOOK_SECONDS))
        for event in plan.due(Position(0.0, 0.0, running=False)):
            self._send(event)
