"""Whose tempo it is: ours, a MIDI clock's or Ableton Link's; and our clock sent out."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from audio_io.clock_output import ClockOutput, Position
from audio_io.midi import MidiOutput
from lmdm.cli.clock_follower import Clock, ClockFollower
from lmdm.errors import InputError
from lmdm.live.messages import Message

LOOK_SECONDS = 0.05


class Clocks:
    """Follows another clock and sends ours.

    Threads: one of its own calls `send`; the rest may be called from any thread.
    """

    def __init__(
        self, send: Callable[[Message], None], midi: Clock | None, position: Callable[[], Position]
    ) -> None:
        """midi: the MIDI clock that comes in; None without MIDI. position: of what is heard."""
        self._send = send
        self._midi = midi
        self._position = position
        self.source = "internal"
        self.out = False
        self.out_port = ""
        self._follower: ClockFollower | None = None
        self._output: tuple[ClockOutput, MidiOutput] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clocks", daemon=True)
        self._thread.start()

    def select(self, source: str) -> None:
        """Takes the tempo from another source. Raises InputError if it is not there."""
        if source == "midi":
            if self._midi is None:
                raise InputError("there is no MIDI input here whose clock could be followed")
            self._follower = ClockFollower(self._midi)
        elif source == "link":
            self._follower = ClockFollower(_link())
        else:
            self._follower = None
        self.source = source

    def send_out(self, on: bool, port: str | None = None) -> None:
        """Sends our clock, or no longer. Raises InputError if the port is not there."""
        if port is not None:
            self.out_port = port
        if self._output is not None:
            for each in self._output:
                each.close()
            self._output = None
        self.out = on
        if on:
            output = MidiOutput(self.out_port or None)
            self._output = (ClockOutput(output.send, self._position), output)

    def text(self) -> str:
        """What the clock that is followed does; empty when none is."""
        follower = self._follower
        return follower.text(time.perf_counter()) if follower is not None else ""

    def _run(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            follower = self._follower
            if follower is None:
                continue
            for message in follower.due(time.perf_counter()):
                with contextlib.suppress(InputError):
                    self._send(message)

    def close(self) -> None:
        """Ends both."""
        self._closing.set()
        self._thread.join()
        if self._output is not None:
            for each in self._output:
                each.close()


def _link() -> Clock:
    try:
        from audio_io.link import LinkClock
    except ImportError:
        raise InputError(
            "Ableton Link is an extra: install lmdm-live[link], then choose it again"
        ) from None
    clock: Clock = LinkClock()
    return clock
