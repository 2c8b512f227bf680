"""The sound of a take: what was heard of the stream, sample for sample the same in a replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from lmdm.live.messages import Message, Mute, Panic, SetGain
from lmdm.live.take import Applied

SAMPLE_RATE = 44100
RAMP_SAMPLES = SAMPLE_RATE * 10 // 1000  # a gain change takes 10 ms
QUANTUM = 1024  # samples the limiter gets at once, so that its rounding does not depend on ours
EFFECTS_QUANTUM = 256  # and the effects

Limit = Callable[[np.ndarray], np.ndarray]


class Effects(Protocol):
    """Level of the stream, filters, and the live input beside it."""

    def apply(self, message: Message) -> None:
        """A change from the next sample on; messages about something else change nothing."""

    def settle(self) -> None:
        """Stands where it is wanted, without a fade."""

    def process(self, pcm: np.ndarray, live: np.ndarray) -> np.ndarray:
        """The stream's samples [n, 2] and the live input beside them [n, 2] as they are heard."""


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
    """Turns the stream's samples, and the live input heard beside them, into those of a take.

    Changes are given with their positions, at the latest before the samples they act on are. Gain
    and mute act at their sample, effects from the next 256 samples on. The limiter's own delay is
    taken out, so sample n of the take is sample n of the stream.
    """

    def __init__(
        self,
        limit: Limit,
        latency: int,
        effects: Effects,
        start: int = 0,
        past: Iterable[Message] = (),
    ) -> None:
        """Begins at position `start`.

        `limit` is the limiter, a function of pieces [1024, 2] that keeps its own state and is
        `latency` samples late; `past` are the changes before `start`.
        """
        self._limit = limit
        self._late = latency  # samples of its output still to leave out
        self._latency = latency
        self._effects = effects
        self._fade = Fade()
        for message in past:
            self._fade.apply(message)
            effects.apply(message)
        self._fade.process(np.zeros((RAMP_SAMPLES, 2), np.float32))
        effects.settle()
        self._to_effects: deque[Applied] = deque()
        self._to_fade: deque[Applied] = deque()
        self._position = start
        self._waiting = self._live = np.zeros((0, 2), np.float32)

    def change(self, applied: Applied) -> None:
        """A change of the instant lane; positions must not fall."""
        self._to_effects.append(applied)
        self._to_fade.append(applied)

    def process(self, pcm: np.ndarray, live: np.ndarray | None = None) -> np.ndarray:
        """The next samples of the stream [n, 2]; returns the next of the take [m, 2].

        live [n, 2]: the live input beside them; None is silence.
        """
        self._waiting = np.concatenate([self._waiting, pcm])
        beside = np.zeros_like(pcm) if live is None else live
        self._live = np.concatenate([self._live, beside])
        pieces = [self._waiting[:0]]
        while len(self._waiting) >= QUANTUM:
            pieces.append(self._quantum())
        return self._in_time(np.concatenate(pieces))

    def _quantum(self) -> np.ndarray:
        """The next 1024 samples, limited."""
        pcm, self._waiting = np.split(self._waiting, [QUANTUM])
        live, self._live = np.split(self._live, [QUANTUM])
        sounds = []
        for at in range(0, QUANTUM, EFFECTS_QUANTUM):
            while self._to_effects and self._to_effects[0].sample <= self._position + at:
                self._effects.apply(self._to_effects.popleft().message)
            piece = slice(at, at + EFFECTS_QUANTUM)
            sounds.append(self._effects.process(pcm[piece], live[piece]))
        return self._limit(self._faded(np.concatenate(sounds)))

    def _faded(self, pcm: np.ndarray) -> np.ndarray:
        faded = []
        while len(pcm):
            while self._to_fade and self._to_fade[0].sample <= self._position:
                self._fade.apply(self._to_fade.popleft().message)
            count = len(pcm)
            if self._to_fade:
                count = min(count, self._to_fade[0].sample - self._position)
            faded.append(self._fade.process(pcm[:count]))
            self._position += count
            pcm = pcm[count:]
        return np.concatenate(faded)

    def flush(self) -> np.ndarray:
        """The samples still inside; nothing may be given afterwards."""
        left = len(self._waiting) + self._latency - self._late
        count = -(-(left + self._late) // QUANTUM) * QUANTUM - len(self._waiting)
        return self.process(np.zeros((count, 2), np.float32))[:left]

    def _in_time(self, limited: np.ndarray) -> np.ndarray:
        late = min(self._late, len(limited))
        self._late -= late
        return limited[late:]
