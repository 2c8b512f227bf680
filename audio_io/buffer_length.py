"""How much sound is kept ready: longer where the feeder comes late to the device, then less again.

The feeder looks after the device every few milliseconds, but a busy machine lets it in late. What
is ready must last until then, and every millisecond of it is one between hand and ear. So the
buffer is twice as long as the worst lateness of late, and no shorter than was asked for.
"""

from __future__ import annotations

import math

GROWTH = 2.0  # the buffer lasts so many times as long as the feeder was late
CALM_SECONDS = 30.0  # lateness is remembered for one to two of these
LENGTHENING = 0.2  # of the time that passes: the source can fill so much, and has no hole at once
SHORTENING = 0.01  # likewise: what waits plays out a little slower than it is made


class BufferLength:
    """The buffer's length from turn to turn.

    Threads: none; the feeder calls it.
    """

    def __init__(self, asked_ms: float, most_ms: float) -> None:
        """asked_ms: the shortest; most_ms: how far it grows by itself."""
        self.ms = asked_ms  # now
        self._asked, self._most = asked_ms, max(asked_ms, most_ms)
        self._before = math.inf  # moment of the turn before
        self._worst = self._worst_before = 0.0  # lateness in ms, in this stretch and in the last
        self._stretch_began = math.inf

    @property
    def goal(self) -> float:
        """Milliseconds that it grows or shrinks to."""
        worst = max(self._worst, self._worst_before)
        return min(self._most, max(self._asked, GROWTH * worst))

    def turn(self, now: float, counts: bool) -> str:
        """The feeder is here. now: seconds of any clock; counts: whether it could be too late.

        Returns what there is to tell: a line when the goal has moved, else an empty one.
        """
        late_ms = max(0.0, 1000.0 * (now - self._before))
        self._before = now
        if now - self._stretch_began >= CALM_SECONDS or self._stretch_began == math.inf:
            former = self.goal
            self._worst_before, self._worst, self._stretch_began = self._worst, 0.0, now
            if self.goal < former:
                self._move(late_ms)
                return f"the feeder is on time again: the buffer goes back to {self.goal:.0f} ms"
        grows = counts and GROWTH * late_ms > self.goal and self.goal < self._most
        if counts:
            self._worst = max(self._worst, late_ms)
        self._move(late_ms)
        return f"the feeder was {late_ms:.0f} ms late: the buffer is longer now" if grows else ""

    def _move(self, passed_ms: float) -> None:
        longest, shortest = self.ms + LENGTHENING * passed_ms, self.ms - SHORTENING * passed_ms
        self.ms = min(longest, max(shortest, self.goal))
