"""A frozen loop: the last bars again and again, joined without a click."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lmdm.live.messages import Message, Resume, SetControls, SetFreeze, UndoBars

JOIN_SAMPLES = 882  # 20 ms at 44.1 kHz
MOST_SAMPLES = 40 * 44100  # longest loop


@dataclass(frozen=True)
class Loop:
    """Samples [n, 2] that repeat from stream position `begin` on."""

    samples: np.ndarray
    begin: int

    @classmethod
    def of(cls, past: np.ndarray, length: int, begin: int) -> Loop | None:
        """The last `length` samples of `past` [m, 2]; None if there are too few.

        The loop's end is crossfaded into what came before its beginning.
        """
        length = min(length, len(past) - JOIN_SAMPLES)
        if length < 2 * JOIN_SAMPLES:
            return None
        loop = past[-length:].copy()
        before = past[-length - JOIN_SAMPLES : -length]
        loop[-JOIN_SAMPLES:] = crossfaded(loop[-JOIN_SAMPLES:], before)
        return cls(loop, begin)

    def at(self, position: int, count: int) -> np.ndarray:
        """The loop's samples at a stream position [count, 2]."""
        return self.samples[(position - self.begin + np.arange(count)) % len(self.samples)]


class Looper:
    """Remembers the newest sound, and loops it while `SetFreeze` is on.

    Threads: none; its session calls it.
    """

    def __init__(self) -> None:
        self._past: deque[np.ndarray] = deque()
        self._samples = 0  # in `_past`
        self.loop: Loop | None = None

    def remember(self, pcm: np.ndarray) -> None:
        """What was given out [n, 2]."""
        self._past.append(pcm)
        self._samples += len(pcm)
        while self._samples - len(self._past[0]) >= MOST_SAMPLES + JOIN_SAMPLES:
            self._samples -= len(self._past.popleft())

    def past(self, back: int, count: int) -> np.ndarray:
        """Sound from `back` samples before now (negative) on [count, 2]; silence where unknown."""
        pcm = np.zeros((count, 2), np.float32)
        place = -self._samples
        for piece in self._past:
            low, high = max(place, back), min(place + len(piece), back + count)
            if high > low:
                pcm[low - back : high - back] = piece[low - place : high - place]
            place += len(piece)
        return pcm

    def rests(self, messages: Iterable[Message]) -> bool:
        """Whether it loops before and after these messages, so that nothing need be made."""
        return self.loop is not None and not any(_asked(each) for each in messages)

    def turn(
        self, pcm: np.ndarray, start: int, changes: Iterable[tuple[int, Message, float]]
    ) -> np.ndarray:
        """A block's sound [n, 2] from stream position `start`, with loops that begin or end in it.

        changes: position, message, and samples a bar there, of the block's messages in order.
        """
        given = pcm if self.loop is None else self.loop.at(start, len(pcm))
        for position, message, bar in changes:
            asked, at = _asked(message), max(0, position - start)
            if asked is None:
                continue
            loop = None
            if asked.bars is not None:
                past = np.concatenate([*self._past, given[:at]])
                loop = Loop.of(past, min(round(asked.bars * bar), MOST_SAMPLES), start + at)
            if loop is not None or self.loop is not None:
                sound = pcm[at:] if loop is None else loop.at(start + at, len(pcm) - at)
                given = np.concatenate([given[:at], crossfaded(given[at:], sound)])
            self.loop = loop
        return given

    def snapshot(self) -> tuple[tuple[np.ndarray, ...], Loop | None]:
        """The present state; nothing is copied."""
        return tuple(self._past), self.loop

    def restore(self, snapshot: tuple[tuple[np.ndarray, ...], Loop | None]) -> None:
        """Back to a snapshot."""
        past, self.loop = snapshot
        self._past = deque(past)
        self._samples = sum(len(each) for each in past)


def _asked(message: Message) -> SetFreeze | None:
    """What a message asks of the loop; None if nothing."""
    if isinstance(message, SetControls) and "freeze" in message.settings:
        return SetFreeze(message.settings["freeze"])
    if isinstance(message, (Resume, UndoBars)):
        return SetFreeze(None)
    return message if isinstance(message, SetFreeze) else None


def crossfaded(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """From old to new over their common beginning of at most 20 ms; then new. Both [n, 2]."""
    joined = new.copy()
    count = min(JOIN_SAMPLES, len(old), len(new))
    rise = (np.arange(1, count + 1, dtype=np.float32) / max(1, count))[:, None]
    joined[:count] = old[:count] + (new[:count] - old[:count]) * rise
    return joined
