"""Rendering without a clock: a session and its controls, as fast as the machine allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lmdm.live.hold import Hold
from lmdm.live.messages import Message
from lmdm.live.mixdown import Effects, Limit, Mixdown
from lmdm.live.player import LOOP_SECONDS, SAMPLE_RATE
from lmdm.live.take import Held, Take

if TYPE_CHECKING:
    from lmdm.live.session import Session


def render(
    session: Session,
    events: Iterable[tuple[int, Message]],
    samples: int,
    limit: Limit,
    latency: int,
    effects: Effects,
) -> Iterator[np.ndarray]:
    """Yields a session's sound in pieces [n, 2], `samples` in all.

    The session has generated nothing yet. Each event `(sample, message)` acts in the block, and a
    note in the frame, that contains its position. `limit`, `latency` and `effects`: see `Mixdown`.
    """
    for sample, message in events:
        session.apply(message, sample)
    mixdown = Mixdown(limit, latency, effects)
    left = samples
    while left > 0:
        piece = session.next_block().pcm[:left]
        left -= len(piece)
        yield mixdown.process(piece)
    yield mixdown.flush()


def replay(
    session: Session,
    take: Take,
    limit: Limit,
    latency: int,
    effects: Effects,
    live: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yields the samples of a take again, in pieces [n, 2].

    Every control acts where the log says, and where sound was missing the last bars loop as they
    did, so every sample agrees with `take.wav`. `take.samples` must be known. live [n, 2]: the
    take's live input, which begins at `take.input_start`.
    """
    instant = [each for each in take.controls if each.message.lane == "instant"]
    start = take.start
    past = [each.message for each in instant if each.sample < start]
    mixdown = Mixdown(limit, latency, effects, start, past)
    for each in instant:
        if each.sample >= start:
            mixdown.change(each)
    position, left = 0, take.samples or 0
    for piece in heard_pieces(session, take):
        begin = max(start, position)
        inside = piece[begin - position :][:left]
        position += len(piece)
        left -= len(inside)
        yield mixdown.process(inside, _beside(live, begin - take.input_start, len(inside)))
        if left <= 0:
            break
    yield mixdown.flush()


def _beside(live: np.ndarray | None, first: int, count: int) -> np.ndarray | None:
    """`count` samples of the live input from its `first` on; silence before it and after it."""
    if live is None:
        return None
    pcm = np.zeros((count, 2), np.float32)
    low, high = max(0, first), min(len(live), first + count)
    if high > low:
        pcm[low - first : high - first] = live[low:high]
    return pcm


def heard_pieces(session: Session, take: Take) -> Iterator[np.ndarray]:
    """The stream's samples again [n, 2], with the take's holds between them, without end."""
    for applied in take.controls:
        if applied.message.lane != "instant":
            session.apply(applied.message, applied.sample)
    return with_holds(_blocks(session), take.holds)


def _blocks(session: Session) -> Iterator[np.ndarray]:
    while True:
        yield session.next_block().pcm


def with_holds(blocks: Iterator[np.ndarray], holds: Iterable[Held]) -> Iterator[np.ndarray]:
    """A stream's blocks [n, 2], with the last bars looped where they were in a take."""
    hold = Hold(round(LOOP_SECONDS * SAMPLE_RATE))
    fresh = np.zeros((0, 2), np.float32)
    position = 0
    for held in holds:
        while position < held.sample:
            if not len(fresh):
                fresh = next(blocks)
            piece, fresh = np.split(fresh, [min(len(fresh), held.sample - position)])
            position += len(piece)
            yield hold.next(len(piece), piece)
        position += held.samples
        yield hold.next(held.samples, fresh[:0])
    if len(fresh):
        yield hold.next(len(fresh), fresh)
    for block in blocks:
        yield hold.next(len(block), block)
