"""Which sample of the stream is heard now, steadier than one look at the device can tell.

A look is early or late by up to a period of the device and a turn of its feeder. What is heard
moves evenly in time, so the mean of the last looks is nearer to the truth than any of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from statistics import fmean

from lmdm.live.clock import SAMPLE_RATE

LOOK_SECONDS = 0.02  # between two looks that count
LOOKS = 40  # that are remembered, of about a second
JUMP_SECONDS = 0.04  # a look so far from the others: sound stands still, or another device plays


class Heard:
    """The stream position that reaches the ear.

    Threads: `position` may be called from any thread, and returns at once.
    """

    def __init__(
        self, look: Callable[[], int], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`look()` is that position as the device tells it."""
        self._look, self._clock = look, clock
        self._lock = threading.Lock()
        self._offsets: deque[float] = deque(maxlen=LOOKS)  # s of stream less s of the clock
        self._looked_at = float("-inf")

    def position(self) -> int:
        """In samples; negative before the first is heard."""
        with self._lock:
            now = self._clock()
            offset = self._look() / SAMPLE_RATE - now
            if self._offsets and abs(offset - fmean(self._offsets)) > JUMP_SECONDS:
                self._offsets.clear()
            if not self._offsets or now - self._looked_at >= LOOK_SECONDS:
                self._offsets.append(offset)
                self._looked_at = now
            return round((now + fmean(self._offsets)) * SAMPLE_RATE)
