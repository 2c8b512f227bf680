"""The sound of a take: gain and limiter over the stream, sample for sample the same in a replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

from lmdm.live.messages import Message, Mute, Panic, SetGain
from lmdm.live.take import Applied

SAMPLE_RATE = 44100
RAMP_SAMPLES = SAMPLE_RATE * 10 // 1000  # a gain change takes 10 ms
QUANTUM = 1024  # samples the limiter gets at once, so that its rounding does not depend on ours

Limit = Callable[[np.ndarray], np.ndarray]


class Fade:
    """The musician's gain and mute, as straight ramps of 10 ms at exact positions.

    >>> fade = Fade()
    >>> fade.apply(Mute(True))
    >>> float(fade.process(np.ones((500, 2), np.float32))[-1, 0])
    0.0
    """

    def __init__(self) -> None:
        self._gain_db = 0.0
        self._muted = False
        self._from = self._to = 1.0  # the ramp's ends
        self._ramped = RAMP_SAMPLES  # samples since it began

    def apply(self, message: Message) -> None:
        """Gain, mute and panic act from the next sample on; other messages change nothing."""
        if isinstance(message, SetGain):
            self._gain_db = message.gain_db
        elif isinstance(message, (Mute, Panic)):
            self._muted = isinstance(message, Panic) or message.on
        silent = self._muted or self._gain_db <= -90.0
        target = 0.0 if silent else 10.0 ** (self._gain_db / 20.0)
        if target != self._to:
            share = min(1.0, self._ramped / RAMP_SAMPLES)
            here = self._from + (self._to - self._from) * share if share < 1.0 else self._to
            self._from, self._to, self._ramped = here, target, 0

    def process(self, pcm: np.ndarray) -> np.ndarray:
        """The samples [n, 2] with the gain applied; the same however they are cut."""
        if self._ramped >= RAMP_SAMPLES:
            return pcm if self._to == 1.0 else pcm * np.float32(self._to)
        share = np.minimum(1.0, (self._ramped + np.arange(len(pcm))) / RAMP_SAMPLES)
        gain = np.where(share < 1.0, self._from + (self._to - self._from) * share, self._to)
        self._ramped += len(pcm)
        return pcm * gain[:, None].astype(np.float32)


class Mixdown:
    """Turns the stream's samples into those of a take.

    Gain changes are given with their positions, at the latest before the samples they act on are.
    The limiter's own delay is taken out, so sample n of the take is sample n of the stream.
    """

    def __init__(
        self, limit: Limit, latency: int, start: int = 0, past: Iterable[Message] = ()
    ) -> None:
        """Begins at position `start`.

        `limit` is the limiter, a function of pieces [1024, 2] that keeps its own state and is
        `latency` samples late; `past` are the gain changes before `start`.
        """
        self._limit = limit
        self._late = latency  # samples of its output still to leave out
        self._latency = latency
        self._fade = Fade()
        for message in past:
            self._fade.apply(message)
        self._fade.process(np.zeros((RAMP_SAMPLES, 2), np.float32))
        self._changes: deque[Applied] = deque()
        self._position = start
        self._waiting = np.zeros((0, 2), np.float32)

    def change(self, applied: Applied) -> None:
        """A gain change; positions must not fall."""
        self._changes.append(applied)

    def process(self, pcm: np.ndarray) -> np.ndarray:
        """The next samples of the stream [n, 2]; returns the next of the take [m, 2]."""
        faded = [self._waiting]
        while len(pcm):
            while self._changes and self._changes[0].sample <= self._position:
                self._fade.apply(self._changes.popleft().message)
            count = len(pcm)
            if self._changes:
                count = min(count, self._changes[0].sample - self._position)
            faded.append(self._fade.process(pcm[:count]))
            self._position += count
            pcm = pcm[count:]
        waiting = np.concatenate(faded)
        whole = len(waiting) - len(waiting) % QUANTUM
        self._waiting = waiting[whole:]
        pieces = [self._limit(waiting[at : at + QUANTUM]) for at in range(0, whole, QUANTUM)]
        return self._in_time(np.concatenate([waiting[:0], *pieces]))

    def flush(self) -> np.ndarray:
        """The samples still inside; nothing may be given afterwards."""
        left = len(self._waiting) + self._latency - self._late
        padded = np.zeros((-(-(left + self._late) // QUANTUM) * QUANTUM, 2), np.float32)
        padded[: len(self._waiting)] = self._waiting
        pieces = [self._limit(padded[at : at + QUANTUM]) for at in range(0, len(padded), QUANTUM)]
        return self._in_time(np.concatenate([padded[:0], *pieces]))[:left]

    def _in_time(self, limited: np.ndarray) -> np.ndarray:
        late = min(self._late, len(limited))
        self._late -= late
        return limited[late:]
