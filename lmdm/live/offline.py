"""Rendering without a clock: a session and its controls, as fast as the machine allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lmdm.live.messages import Message
from lmdm.live.player import Heard
from lmdm.live.take import Applied, Held, Take

if TYPE_CHECKING:
    from lmdm.live.session import Session


def render(
    session: Session, events: Iterable[tuple[int, Message]], samples: int
) -> Iterator[np.ndarray]:
    """Yields a session's sound in pieces [n, 2], `samples` in all, from its present position.

    Args:
        session: a session that has generated nothing yet.
        events: `(sample, message)`; each acts in the block, and a note in the frame, that contains
            its position.
        samples: length of the sound.
    """
    for sample, message in events:
        session.apply(message, sample)
    left = samples
    while left > 0:
        piece = session.next_block().pcm[:left]
        left -= len(piece)
        yield piece


class _Source:
    """The stream's samples on demand, in pieces of any length."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ready = np.zeros((0, 2), np.float32)

    def read(self, count: int) -> np.ndarray:
        while len(self._ready) < count:
            self._ready = np.concatenate([self._ready, self._session.next_block().pcm])
        piece, self._ready = self._ready[:count], self._ready[count:]
        return piece


def replay(session: Session, take: Take, piece_samples: int = 16384) -> Iterator[np.ndarray]:
    """Yields the samples of a take again, in pieces [n, 2].

    The controls act where the log says; gain, mute and the places where sound was missing and the
    last bars looped are repeated as well, so every sample agrees with `take.wav`.
    """
    for applied in take.controls:
        if applied.message.lane != "instant":
            session.apply(applied.message, applied.sample)
    source, heard = _Source(session), Heard()
    instants: list[Applied | Held] = [each for each in take.controls if _instant(each)]
    happenings = sorted([*instants, *take.holds], key=lambda each: each.sample)
    end = take.header.start + (take.samples or 0)
    position = 0
    while position < end or happenings:
        if happenings and happenings[0].sample <= position:
            happening = happenings.pop(0)
            if isinstance(happening, Held):
                pcm = heard.next(happening.samples, np.zeros((0, 2), np.float32))
            else:
                heard.apply(happening.message)
                continue
        else:
            until = min([end, *(each.sample for each in happenings[:1])])
            count = min(piece_samples, until - position)
            if count <= 0:
                break
            pcm = heard.next(count, source.read(count))
        first = max(0, take.header.start - position)
        position += len(pcm)
        pcm = pcm[first : max(first, len(pcm) - max(0, position - end))]
        if len(pcm):
            yield pcm


def _instant(applied: Applied) -> bool:
    return applied.message.lane == "instant"
