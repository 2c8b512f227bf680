"""The engine's ring as the audio output pulls from it: fresh sound, or the last bars in a loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from lmdm.errors import GoingOn
from lmdm.live.hold import JOIN_SAMPLES, Hold
from lmdm.live.messages import Dropout
from lmdm.live.ring import AudioRing

SAMPLE_RATE = 44100
LOOP_SECONDS = 2.0
PATIENCE_SECONDS = 0.02  # if the output's own buffer lasts longer, a short wait is not heard
MOST_DROPOUTS = 100
LOOPED = "the engine was late: the last bars looped"
FRESH_SECONDS = 0.1  # that much must be ready before the loop ends, so that it does not stutter

Tap = Callable[[np.ndarray, int], None]


def ignore(*_: object) -> None:
    """A listener that does not listen."""


class Player:
    """Reads the ring for an output; fills what is missing.

    While it is paused the output gets silence, and the stream stands still: neither positions nor
    taps move. Pausing and going on fade in 20 ms, in what the output gets alone, so that a take has
    no trace of them.

    Threads: one output thread calls `read`, and from it the taps: each `tap(pcm, position)` gets
    every piece of sound [n, 2] with its position, counted from the first sample given out, and
    `on_hold(position, samples)` is told of every piece that was looped. `begin`, `pause`, `hush`
    and the properties may be used from any thread.
    """

    def __init__(
        self,
        ring: AudioRing,
        *,
        channels: int = 2,
        on_hold: Callable[[int, int], None] = ignore,
        clock: Callable[[], float] = time.monotonic,
        patience: Callable[[], float] = lambda: PATIENCE_SECONDS,
    ) -> None:
        """`channels`: 1 gives the mean of both to the output (not to the taps).

        patience: seconds for which the output can wait for fresh sound.
        """
        self._ring = ring
        self._channels = channels
        self._on_hold = on_hold
        self._clock, self._patience = clock, patience
        self._hold = Hold(round(LOOP_SECONDS * SAMPLE_RATE))
        self._taps: tuple[Tap, ...] = ()
        self._going_on = GoingOn("a listener", self._note)
        self._playing = False
        self._paused = False
        self._open = 1.0  # how far the fade of pausing is: 1 sounds, 0 is silence
        self._hushed_until = 0
        self._dry_since: float | None = None
        self.position = 0  # samples given out
        self.starvations = 0  # times the fresh sound ran out and the loop was heard
        self.dropouts: deque[Dropout] = deque(maxlen=MOST_DROPOUTS)  # the newest of them

    @property
    def holding(self) -> bool:
        """Whether the last bars are looping because the engine gives no sound."""
        return self._hold.held > 0

    def add_tap(self, tap: Tap) -> None:
        """Lets `tap` hear everything from now on."""
        self._taps = (*self._taps, tap)

    def begin(self) -> None:
        """Lets the sound begin; before, there is silence that counts for nothing."""
        self._playing = True

    def pause(self, on: bool) -> None:
        """Stands still, or goes on."""
        self._paused = on

    def hush(self, until: int) -> None:
        """Lets nothing be heard before a position that is still to come."""
        self._hushed_until = until

    @property
    def still(self) -> bool:
        """Whether nothing moves: paused, and faded out."""
        return self._paused and self._open == 0.0

    def read(self, count: int) -> np.ndarray:
        """Up to `count` samples [n, channels]; fewer, or none, while there is time to wait."""
        nothing = np.zeros((0, self._channels), np.float32)
        if not self._playing or self.still:
            return np.zeros((count, self._channels), np.float32)
        if self.holding and self._ring.readable < FRESH_SECONDS * SAMPLE_RATE:
            return self._give(count, self._ring.read(0))
        fresh = self._ring.read(count)
        if len(fresh):
            self._dry_since = None
            return self._give(len(fresh), fresh)
        now = self._clock()
        if self._dry_since is None:
            self._dry_since = now
        if now - self._dry_since < self._patience():
            return nothing
        return self._give(count, fresh)

    def _give(self, count: int, fresh: np.ndarray) -> np.ndarray:
        if len(fresh) < count:
            if not self.holding:
                self.starvations += 1
                self._note(LOOPED)
            self._on_hold(self.position, count)
        pcm = self._hold.next(count, fresh)
        for tap in self._taps:
            with self._going_on:
                tap(pcm, self.position)
        self.position += count
        pcm = self._faded(pcm)
        return pcm if self._channels == 2 else pcm.mean(axis=1, keepdims=True)

    def _note(self, reason: str) -> None:
        self.dropouts.append(Dropout(round(self.position / SAMPLE_RATE, 2), reason))

    def _faded(self, pcm: np.ndarray) -> np.ndarray:
        """The sound as the output gets it, with the fades of pausing."""
        silent = self._paused or self.position <= self._hushed_until
        target = 0.0 if silent else 1.0
        if self._open == target:
            return pcm if target else np.zeros_like(pcm)
        step = np.arange(1, len(pcm) + 1, dtype=np.float32) / JOIN_SAMPLES
        ramp = self._open + (step if target > self._open else -step)
        ramp = np.clip(ramp, 0.0, 1.0)
        self._open = float(ramp[-1])
        return pcm * ramp[:, None]
