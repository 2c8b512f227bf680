"""Whose tempo it is: ours, a MIDI clock's or Ableton Link's; and our clock sent out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from audio_io.clock_output import ClockOutput, Position
from audio_io.link import LinkClock
from audio_io.midi_events import MidiEvent
from lmdm.cli.stage.clock_follower import Clock, ClockFollower
from lmdm.errors import GoingOn, InputError
from lmdm.live.messages import Message

LOOK_SECONDS = 0.05


class Clocks:
    """Follows another clock and sends ours.

    Threads: one of its own calls `send`; the rest may be called from any thread.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        position: Callable[[], Position],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`position()`: of what is heard. say: gets one line for the musician."""
        self._send, self._say = send, say
        self._position = position
        self._midi: Clock | None = None
        self._midi_out: Callable[[MidiEvent], None] | None = None
        self.source = "internal"
        self._follower: ClockFollower | None = None
        self._link: LinkClock | None = None
        self._output: ClockOutput | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clocks", daemon=True)
        self._thread.start()

    def use_midi(self, clock: Clock, send: Callable[[MidiEvent], None]) -> None:
        """There is MIDI here: a clock that comes in, and a way out for ours."""
        self._midi, self._midi_out = clock, send

    @property
    def out(self) -> bool:
        """Whether our clock is sent."""
        return self._output is not None

    def select(self, source: str) -> None:
        """Takes the tempo from another source. Raises InputError if it is not there."""
        link = LinkClock(self._position().bpm) if source == "link" else None
        if source == "midi" and self._midi is None:
            raise InputError("there is no MIDI input here whose clock could be followed")
        clock = self._midi if source == "midi" else link
        self._follower = ClockFollower(clock) if clock is not None else None
        former, self._link, self.source = self._link, link, source
        if former is not None:
            former.close()

    def set_bpm(self, bpm: float) -> None:
        """The musician has changed the tempo: with Link, for everybody."""
        if self._link is not None:
            self._link.set_bpm(bpm)

    def send_out(self, on: bool) -> None:
        """Sends our clock, or no longer. Raises InputError without MIDI."""
        if on and self._midi_out is None:
            raise InputError("there is no MIDI output here for a clock")
        if on and self._output is None and self._midi_out is not None:
            self._output = ClockOutput(self._midi_out, self._position)
        elif not on and self._output is not None:
            output, self._output = self._output, None
            output.close()

    def text(self) -> str:
        """What the clock that is followed does; empty when none is."""
        follower, link = self._follower, self._link
        if link is not None:
            return f"{link.text}, {link.bpm:.1f} bpm"
        return follower.text(time.perf_counter()) if follower is not None else ""

    def _run(self) -> None:
        going_on = GoingOn("the clock", self._say)
        while not self._closing.wait(LOOK_SECONDS):
            with going_on, contextlib.suppress(InputError):  # of a tempo that is none of ours
                self._follow()

    def _follow(self) -> None:
        follower = self._follower
        if follower is not None:
            heard = self._position()
            now = time.perf_counter()
            for message in follower.due(now, heard.beat if heard.running else None):
                self._send(message)

    def close(self) -> None:
        """Ends both."""
        self._closing.set()
        self._thread.join()
        self.send_out(False)
        if self._link is not None:
            self._link.close()
