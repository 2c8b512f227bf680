"""The commit horizon: sound generated ahead, and how it is taken back (DESIGN.md section 2).

Blocks lie in the ring ahead of what is heard. When the musician acts, the session goes back to the
block that holds the first frame that can still be made in time, makes it anew from that frame on,
and the new sound replaces the old in the ring. Until it is there, the old plays on: a control that
comes too late for its frame is placed in a later one, and nothing runs dry. A deep lead costs no
latency, because nothing waits for it to play out.

No crossfade is needed: a frame's sound begins with the codec's own overlap-add, and what lies
before the frame is the same to the last sample (`Session`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from lmdm.live.clock import MusicalClock
from lmdm.live.messages import Message, Quantised
from lmdm.live.ring import AudioRing
from lmdm.live.take import Applied
from lmdm.live.turns import quantised
from lmdm.live.waiting import Waiting, nearest_frame

if TYPE_CHECKING:
    from torch import Tensor

    from lmdm.live.block import Block
    from lmdm.live.session import Session, SessionSnapshot

SAFETY_SECONDS = 0.02  # the reader takes sound in pieces of some milliseconds
MARGIN_SAMPLES = 64  # the reader must stay this far behind what is being replaced
TRIES = 4  # a control that is late so often is placed where nothing has been generated yet
RECENT = 24  # generation times that the horizon reckons with
RECENT_OF_KIND = 5  # likewise of blocks in which one kind of control acts
LONG_RECENT = 256  # among which the longest shows how late a block may come
MOST_LATE_SECONDS = 0.6  # beyond `generation`: a rare stall may not make every control late
STALL_SECONDS = 0.1  # a stall that must not be heard where half of the machine's time is free

Clock = Callable[[], float]
Controls = Sequence[tuple[int, Message]]  # with their numbers
Report = Callable[["Block", Mapping[str, Any], list["Placed"]], None]


@dataclass(frozen=True)
class Placed:
    """A control by its number, and the first sample of the stream that it touches."""

    number: int
    sample: int


@dataclass(frozen=True)
class _Ahead:
    """A block in the ring, and how the session stood before and after it."""

    before: SessionSnapshot
    clock: MusicalClock  # before it
    position: int  # of its first latent frame
    block: Block
    after: Mapping[str, Any]


class Horizon:
    """Generates a session's blocks into a ring, and takes them back.

    Threads: none; the engine's thread calls it.
    """

    def __init__(
        self, session: Session, ring: AudioRing, report: Report, rewinds: bool = True
    ) -> None:
        """`report(block, state, placed)` is called before a block's sound is in the ring.

        state: the session's after the block; placed: controls that act in it. `rewinds`: False
        lets controls wait until what was made ahead has played out, to measure the difference.
        """
        self._rewinds = rewinds
        self._session = session
        self._ring = ring
        self._report = report
        self._ahead: deque[_Ahead] = deque()
        self.safe = 0  # stream position before which nothing is taken back any more
        self._later: list[Placed] = []  # act in the next block
        self._newest = 0  # frame in which the newest control acts: none acts before an earlier one
        self._seconds: deque[float] = deque(maxlen=LONG_RECENT)  # of making one block
        self._seconds_of: dict[type[Message], deque[float]] = {}  # where such a control acts first

    # --- figures --------------------------------------------------------------------------------

    def took(self, seconds: float, controls: Controls = ()) -> None:
        """One block, in which controls act, was made in so many seconds."""
        self._seconds.append(seconds)
        for kind in _kinds(controls):
            self.expect(kind, seconds)

    def expect(self, kind: type[Message], seconds: float) -> None:
        """A block in which a control of a kind acts takes so long."""
        self._seconds_of.setdefault(kind, deque(maxlen=RECENT_OF_KIND)).append(seconds)

    @property
    def generation(self) -> float:
        """Seconds that a block may take: nearly the longest of the last ones."""
        ordered = sorted(list(self._seconds)[-RECENT:])
        return ordered[-1 - len(ordered) // 8] if ordered else 0.0

    def generation_with(self, controls: Controls, late: float = 1.0) -> float:
        """Seconds that a block may take in which controls act.

        Some take longer than a block else does: for new words the whole context is encoded anew.
        late: how often as long as usual.
        """
        known = [self._seconds_of.get(kind) for kind in _kinds(controls)]
        return max(late * self.generation, *(median(each) for each in known if each), 0.0)

    @property
    def at_worst(self) -> float:
        """Seconds that a block takes when the machine is held up, as far as one can reckon.

        That is the longest of late, and never less than a stall that may come at any time. A stall
        s is made up for in s r / (1 - r), where r is the real-time factor; so the nearer the
        machine is to its limit, the more must lie ahead.
        """
        made = self.generation
        share = made * self._session.sample_rate / self._session.block_samples
        spare = max(1.0 - share, 1e-6)
        stall = min(STALL_SECONDS * share / spare, MOST_LATE_SECONDS)
        return max(made + stall, min(max(self._seconds, default=0.0), made + MOST_LATE_SECONDS))

    @property
    def ahead(self) -> int:
        """Samples in the ring that have not been read."""
        return self._ring.written_total - self._ring.read_total

    @property
    def first_change(self) -> int:
        """The first stream position that a control coming now could change."""
        return min(self._first_frame() - self._session.delay_samples, self._ring.written_total)

    def waiting(self) -> list[Waiting]:
        """Quantised changes that have not been heard yet."""
        read = self._ring.read_total + self._session.delay_samples
        taken = [each for ahead in self._ahead for each in ahead.block.waited]
        return [each for each, at in taken if at.sample > read] + self._session.waiting

    # --- generating -----------------------------------------------------------------------------

    def extend(
        self, clock: Clock, before_step: Callable[[], None] | None, begun: float | None = None
    ) -> None:
        """Makes the next block. What `before_step` raises leaves everything as it was.

        begun: when the work for it began, if before now.
        """
        begun = clock() if begun is None else begun
        before = self._session.snapshot()
        try:
            block = self._session.next_block(before_step=before_step)
        except BaseException:
            self._session.restore(before)
            raise
        self._keep(before, block)
        placed, self._later = self._later, []
        self._report(block, self._ahead[-1].after, placed)
        self._ring.write(block.pcm)
        self.took(clock() - begun)

    def _keep(self, before: SessionSnapshot, block: Block) -> None:
        position = before.state["blocks"] * self._session.block_samples
        clock = MusicalClock.from_dict(before.state["clock"])
        self._ahead.append(_Ahead(before, clock, position, block, self._session.state()))

    def forget(self) -> None:
        """Lets go of blocks that have been read."""
        self.safe = read = self._ring.read_total
        while self._ahead and self._ahead[0].block.start + len(self._ahead[0].block.pcm) <= read:
            self._ahead.popleft()

    # --- changing -------------------------------------------------------------------------------

    def change(self, controls: Controls, clock: Clock) -> None:
        """Lets numbered controls act as soon as can be."""
        self.forget()
        for attempt in range(TRIES if self._rewinds else 0):
            late = 1.0 + attempt
            if self._change(controls, self._first_frame(controls, late), clock):
                return
        self._change(controls, self._session.position, clock)

    def _first_frame(self, controls: Controls = (), late: float = 1.0) -> int:
        """Position of the first frame that can be made anew in time.

        Its sound must still be to come when it is made, and its own block must last until the one
        that follows is made as well, also when the machine is held up: however fast controls come,
        they do not empty the ring.
        """
        session, rate = self._session, self._session.sample_rate
        made = round(self.generation_with(controls, late) * rate)
        following = round(self.at_worst * rate)
        now = self._ring.read_total + round(SAFETY_SECONDS * rate) + session.delay_samples
        frame, size = session.frame_samples, session.block_samples
        first = -(-(now + made) // frame) * frame
        lasting = -(-(now + made + following) // size) - 1  # the first block that ends late enough
        return max(first, lasting * size)

    def _change(self, controls: Controls, first: int, clock: Clock) -> bool:
        """Places controls from `first` on; False if that came too late."""
        session = self._session
        first = min(max(first, self._newest), session.position)
        asked = [(number, quantised(message, session.controls)) for number, message in controls]
        waits = [self._wait(message, first) for _, message in asked]
        placed = [
            Placed(number, first - session.delay_samples)
            for (number, _), wait in zip(asked, waits, strict=True)
            if wait is None
        ]
        earliest = min(first if wait is None else wait[1] for wait in waits)
        kept = [each for each in self._ahead if each.position + session.block_samples <= earliest]
        taken = list(self._ahead)[len(kept) :]
        if not taken:
            self._apply(asked, waits, first)
            self._later += placed
            self._newest = first
            return True
        begun = clock()
        former = session.snapshot()
        session.rewind(taken[0].before, *_acted(taken, earliest))
        self._apply(asked, waits, first)
        before = session.snapshot()
        block = session.next_block(self._settled(taken[0], earliest))
        self.took(clock() - begun, controls)
        start = max(block.start, earliest - session.delay_samples)
        if start < self._ring.read_total + MARGIN_SAMPLES:
            session.restore(former)
            return False
        new = _Ahead(before, taken[0].clock, taken[0].position, block, session.state())
        self._report(block, new.after, placed)
        if not self._replace(start, block.pcm[start - block.start :], taken):
            session.restore(former)
            return False
        self._ahead = deque([*kept, new])
        self._newest = first
        return True

    def _wait(self, message: Message, first: int) -> tuple[Waiting, int] | None:
        """What a quantised change waits for, and the frame it acts in; None for all others."""
        if not isinstance(message, Quantised) or message.boundary == "now":
            return None
        holding = [each.clock for each in self._ahead if each.position <= first]
        clock = holding[-1] if first < self._session.position else self._session.clock
        waiting = Waiting.of(message.change, message.boundary, clock, first)
        at = clock.sample(waiting.beat, first)
        return waiting, nearest_frame(at, self._session.frame_samples, first)

    def _apply(self, asked: Controls, waits: list[tuple[Waiting, int] | None], first: int) -> None:
        for (_, message), wait in zip(asked, waits, strict=True):
            if wait is None:
                self._session.apply(message, first)
            else:
                self._session.waiting.append(wait[0])

    def _settled(self, ahead: _Ahead, earliest: int) -> Tensor | None:
        """The frames of a block that stay as they are; None where there is none."""
        frames = max(0, earliest - ahead.position) // self._session.frame_samples
        latents = ahead.block.latents[:, :frames]
        return self._session.tensor(latents) if latents.size else None

    def _replace(self, start: int, pcm: np.ndarray, taken: list[_Ahead]) -> bool:
        """Puts new sound in the ring from `start` on; False, and all as before, if it was read."""
        begin = self._ring.rewind_writer(start, MARGIN_SAMPLES // 2)
        if begin == start:
            self._ring.write(pcm)
            return True
        for each in taken:  # the reader has just overtaken us: give back what it was to read
            self._ring.write(each.block.pcm[max(0, begin - each.block.start) :])
            self._report(each.block, each.after, [])
        return False


def _kinds(controls: Controls) -> set[type[Message]]:
    """What kinds of controls these are."""
    return {type(message) for _, message in controls}


def _acted(taken: list[_Ahead], earliest: int) -> tuple[list[Applied], list[Waiting]]:
    """Controls that acted in blocks taken back, and those that wait for their boundary again."""
    again = [(w, at) for ahead in taken for w, at in ahead.block.waited if at.sample >= earliest]
    waiting = [at for _, at in again]
    applied = [each for ahead in taken for each in ahead.block.applied if each not in waiting]
    return applied, [each for each, _ in again]
