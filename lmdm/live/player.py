"""What is heard: the engine's sound with gain, mute and hold.

`Heard` is the pure part: its output depends only on the fresh samples and on the positions of gain
changes and of missing sound, so a replay that is given the same gives the same samples. `Player`
joins it to the ring and reads like a ring, for the audio output.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from lmdm.live.hold import Hold
from lmdm.live.messages import Message, Mute, Panic, SetGain
from lmdm.live.ring import AudioRing

SAMPLE_RATE = 44100
RAMP_SAMPLES = SAMPLE_RATE * 10 // 1000  # a gain change takes 10 ms
LOOP_SECONDS = 2.0


def ignore(*_: object) -> None:
    """A listener that does not listen."""


class Heard:
    """Gain, mute and hold over the stream's samples."""

    def __init__(self, loop_samples: int = int(LOOP_SECONDS * SAMPLE_RATE)) -> None:
        self.gain_db = 0.0
        self.muted = False
        self._hold = Hold(loop_samples)
        self._from = self._to = 1.0  # the ramp's ends
        self._ramped = RAMP_SAMPLES  # samples since it began

    def apply(self, message: Message) -> None:
        """Gain, mute and panic act from the next sample on; other messages change nothing."""
        if isinstance(message, SetGain):
            self.gain_db = message.gain_db
        elif isinstance(message, Mute):
            self.muted = message.on
        elif isinstance(message, Panic):
            self.muted = True
        target = 0.0 if self.muted else 10.0 ** (self.gain_db / 20.0)
        if target != self._to:
            self._from, self._to, self._ramped = self._gain(0), target, 0

    def _gain(self, ahead: int) -> float:
        share = min(1.0, (self._ramped + ahead) / RAMP_SAMPLES)
        return self._from + (self._to - self._from) * share

    @property
    def holding(self) -> bool:
        """Whether the last bars are looping because there is no fresh sound."""
        return self._hold.held > 0

    def next(self, count: int, fresh: np.ndarray) -> np.ndarray:
        """The next `count` samples [count, 2], of which the first len(fresh) are fresh sound."""
        pcm = self._hold.next(count, fresh)
        if self._ramped >= RAMP_SAMPLES:
            return pcm if self._to == 1.0 else pcm * np.float32(self._to)
        places = np.minimum(1.0, (self._ramped + np.arange(count)) / RAMP_SAMPLES)
        gain = np.where(places < 1.0, self._from + (self._to - self._from) * places, self._to)
        self._ramped += count
        return pcm * gain[:, None].astype(np.float32)


class Player:
    """The engine's ring as the audio output reads it.

    Threads: one output thread calls `read`; `apply` and the properties may be used from any thread.
    `tap` is called from the output thread with every piece of sound and its heard position;
    `on_instant` likewise with every instant-lane control and the position where it took effect,
    and `on_hold` with the position and length of every piece that had no fresh sound.
    """

    def __init__(
        self,
        ring: AudioRing,
        *,
        tap: Callable[[np.ndarray, int], None] = ignore,
        on_instant: Callable[[int, Message], None] = ignore,
        on_hold: Callable[[int, int], None] = ignore,
    ) -> None:
        self._ring = ring
        self._heard = Heard()
        self._tap = tap
        self._on_instant = on_instant
        self._on_hold = on_hold
        self._waiting: deque[Message] = deque()
        self._begun = threading.Event()
        self.position = 0  # samples heard since the sound began
        self.underruns = 0  # times the fresh sound ran out
        self.level_db = (-120.0, -120.0)
        self.peak_db = (-120.0, -120.0)
        self.channels = 2

    def begin(self) -> None:
        """Lets the sound begin; before, `read` gives silence that counts for nothing."""
        self._begun.set()

    def apply(self, message: Message) -> None:
        """Hands over an instant-lane control; it acts from the next piece read."""
        self._waiting.append(message)

    @property
    def gain_db(self) -> float:
        """Output gain in dB."""
        return self._heard.gain_db

    @property
    def muted(self) -> bool:
        """Whether the output is silenced."""
        return self._heard.muted

    @property
    def holding(self) -> bool:
        """Whether the last bars are looping because the engine gives no sound."""
        return self._heard.holding

    @property
    def readable(self) -> int:
        """Samples that a read is sure to give: always enough, since the hold fills every gap."""
        return 1 << 30

    def read(self, count: int) -> np.ndarray:
        """The next `count` samples [count, 2]."""
        if not self._begun.is_set():
            return np.zeros((count, self.channels), np.float32)
        while self._waiting:
            message = self._waiting.popleft()
            self._heard.apply(message)
            self._on_instant(self.position, message)
        fresh = self._ring.read(count)
        if len(fresh) < count:
            if not self._heard.holding:
                self.underruns += 1
            self._on_hold(self.position + len(fresh), count - len(fresh))
        pcm = self._heard.next(count, fresh)
        self._tap(pcm, self.position)
        self.position += count
        self._measure(pcm)
        return pcm

    def _measure(self, pcm: np.ndarray) -> None:
        if len(pcm):
            power = np.square(pcm, dtype=np.float64).mean(axis=0)
            peak = np.abs(pcm).max(axis=0)
            self.level_db = (_db(power[0] ** 0.5), _db(power[1] ** 0.5))
            self.peak_db = (_db(float(peak[0])), _db(float(peak[1])))


def _db(amplitude: float) -> float:
    return round(20.0 * float(np.log10(max(amplitude, 1e-6))), 1)
