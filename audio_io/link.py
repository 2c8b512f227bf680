"""Ableton Link: the tempo and beat that programs in one network share. An optional extra (GPL).

    clock = LinkClock(bpm=120.0)
    clock.bpm, clock.peers, clock.beat(time.perf_counter())

To join never changes the tempo of a session that is there; its beat becomes ours.
"""

from __future__ import annotations

import time
from typing import Any

from lmdm.errors import InputError

QUANTUM = 4.0  # beats: bars are aligned, whatever their number


class LinkClock:
    """One participant of a Link session; can be followed as any other clock.

    Threads: Link has threads of its own; everything here may be called from any thread.
    """

    def __init__(self, bpm: float = 120.0) -> None:
        """Joins, at `bpm` if nobody else is there. Raises InputError without the extra."""
        self._link = _link_module().Link(bpm)
        self._link.enabled = True
        self.starts = 0

    @property
    def peers(self) -> int:
        """How many others there are."""
        return int(self._link.numPeers())

    @property
    def bpm(self) -> float:
        """The session's tempo."""
        return float(self._link.captureSessionState().tempo())

    @property
    def running(self) -> bool:
        """Link's beat always runs."""
        return True

    @property
    def text(self) -> str:
        """Who is there, in a few words."""
        return f"Link: {self.peers} other{'' if self.peers == 1 else 's'}"

    def locked(self, at: float) -> bool:  # noqa: ARG002
        """Link's clock can always be relied on."""
        return True

    def beat(self, at: float) -> float:
        """The session's beat at a `time.perf_counter()` time, 0 or more; whole bars are free."""
        state = self._link.captureSessionState()
        beat = float(state.beatAtTime(self._micros(at), QUANTUM))
        return beat if beat >= 0.0 else beat % QUANTUM

    def set_bpm(self, bpm: float) -> None:
        """Changes the tempo for everybody."""
        state = self._link.captureSessionState()
        state.setTempo(bpm, self._micros(time.perf_counter()))
        self._link.commitSessionState(state)

    def close(self) -> None:
        """Leaves the session."""
        self._link.enabled = False

    def _micros(self, at: float) -> int:
        """Link's own time of a perf_counter time; the two clocks may drift apart."""
        return int(self._link.clock().micros() + 1e6 * (at - time.perf_counter()))


def _link_module() -> Any:
    try:
        import link  # the extra
    except ImportError:
        raise InputError(
            "Ableton Link is an extra: run `pip install lmdm-live[link]`, then choose it again"
        ) from None
    return link
