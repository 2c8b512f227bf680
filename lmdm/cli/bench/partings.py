"""Where a control is first heard: the take is played again with it and without it.

Up to the control both are the same to the last sample. What follows without it is made from the
state in which the take's own line stood there, two blocks far, so a control costs two blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audio_io.dc_block import DCBlock
from lmdm.live.clock import SAMPLE_RATE
from lmdm.live.messages import kind_of
from lmdm.live.offline import with_holds
from lmdm.live.take import Applied

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.live.session import Session
    from lmdm.live.take import Take

CHANGED = 0.01  # of the sound's RMS: a change of -40 dB
PLAIN = 0.1  # one of -20 dB
BLOCKS = 2  # that are looked at


@dataclass(frozen=True)
class Parting:
    """Heard positions from which a control has changed the sound, and plainly; None: not at all."""

    kind: str
    changed: int | None
    plain: int | None


def partings(
    model: Model, take: Take, kinds: Iterable[str]
) -> tuple[np.ndarray, dict[str, list[Parting]]]:
    """What the output played [n] (mono), and where in it each control of these kinds is heard.

    The take must have been played with as many torch threads as there are now.
    """
    from lmdm.live.session import Session

    wanted = set(kinds)
    session = Session(model, take.header.controls)
    controls = [each for each in take.controls if each.message.lane != "instant"]
    last = max([each.sample for each in controls], default=0)
    length = max(take.start + (take.samples or 0), last) + BLOCKS * session.block_samples
    stream: list[np.ndarray] = []
    branches: list[tuple[Applied, int, np.ndarray]] = []
    done = 0
    while session.emitted < length:
        end = session.position + session.block_samples
        now = [each for each in controls[done:] if each.sample < end]
        near = [
            each
            for each in controls[done:]
            if each.sample < end + (BLOCKS - 1) * session.block_samples
        ]
        before = session.snapshot()
        for each in now:
            if kind_of(type(each.message)) in wanted:
                rest = [other for other in near if other is not each]
                branches.append((each, session.emitted, _played(session, rest, BLOCKS)))
                session.restore(before)
        stream.append(_played(session, now, 1))
        done += len(now)
    line = np.concatenate(stream)
    found: dict[str, list[Parting]] = {kind: [] for kind in wanted}
    for each, start, without in branches:
        apart = _apart(line[start : start + len(without)], without)
        kind = kind_of(type(each.message))
        at = [_heard_at(take, start, apart > share) for share in (CHANGED, PLAIN)]
        found[kind].append(Parting(kind, *at))
    heard = np.concatenate(list(with_holds(iter(stream), take.holds)))
    return DCBlock(SAMPLE_RATE).process(heard).mean(axis=1), found


def _played(session: Session, controls: Iterable[Applied], blocks: int) -> np.ndarray:
    for each in controls:
        session.apply(each.message, each.sample)
    return np.concatenate([session.next_block().pcm for _ in range(blocks)])


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two sounds [n, 2] are apart at each sample [n], as a share of the first's RMS."""
    level = float(np.sqrt(np.mean(np.square(one - one.mean(axis=0))))) + 1e-9
    apart = DCBlock(SAMPLE_RATE).process(one - other[: len(one)])  # as the output does
    share: np.ndarray = np.abs(apart).max(axis=1) / level
    return share


def _heard_at(take: Take, start: int, apart: np.ndarray) -> int | None:
    """The heard position of the first place that is apart: loops that filled holes are added."""
    if not apart.any():
        return None
    position = start + int(np.argmax(apart))
    for hold in take.holds:
        if hold.sample <= position:
            position += hold.samples
    return position
