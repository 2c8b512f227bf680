"""Which bars of long ago a session plays and hears again, and which it keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from lmdm.live.clock import EPSILON, MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.history import History
from lmdm.live.sizes import Sizes
from lmdm.stream.block_stream import BlockStream
from lmdm.stream.memory import Memory, Place, Remembered, Statement, windowed

FAINT, CLOSE = 0.6, 0.2  # time from which a theme is made anew, with least and with most recall

RecollectionSnapshot = tuple[Memory, Place | None, int, tuple[int, ...]]


@dataclass(frozen=True)
class Moment:
    """What stands when a block is made at a stream position, in samples."""

    controls: Controls
    clock: MusicalClock
    position: int
    sizes: Sizes
    history: History

    @property
    def middle(self) -> float:
        """Stream position of the block's middle, which says where it belongs."""
        return self.position + self.sizes.block_samples / 2

    @property
    def place(self) -> Place:
        """Where in the form it is: its section is that of `SetSection`, or the heaviest prompt."""
        controls, clock = self.controls, self.clock
        bar = int((clock.beat(self.middle) + EPSILON) // clock.beats_per_bar)
        prompts = controls.weighted_prompts()
        section = controls.section or (max(prompts, key=lambda p: p[1])[0] if prompts else "")
        return Place(section, bar % clock.bars_per_phrase, bar)


@dataclass(frozen=True)
class Recalled:
    """What a block has of long ago.

    source: latents [C, o] that it begins from instead of from noise alone, at time `strength`;
    heard: frames in place of its oldest context. None where they are not kept.
    """

    source: Tensor | None = None
    strength: float = 1.0
    heard: Remembered | None = None


class Recollection:
    """The session's long-form memory: it keeps bars while `SetRecall` is above 0.

    Threads: none; its session calls it.
    """

    def __init__(self) -> None:
        self._memory = Memory()
        self._last: Place | None = None  # of the newest block, which is not encoded yet
        self._since = 0  # bar at which the present section began: what it says now is no memory
        self.bars: tuple[int, ...] = ()  # played again in the newest block

    @property
    def remembered(self) -> int:
        """Bars that are kept."""
        return len(self._memory.bars)

    def for_block(self, now: Moment) -> Recalled:
        """What a block has of long ago.

        It begins from the bar's latents at the same beat, and hears the bar in at most half of its
        context. Bars of this visit to the section, and those that the context still holds, are left
        out: a theme is to return, not to run in a loop.
        """
        self.bars = ()
        controls, clock, sizes, place = now.controls, now.clock, now.sizes, now.place
        found = self._returning(place, clock.bpm(now.middle) / clock.beats_per_bar, sizes)
        if controls.recall == 0.0 or found is None:
            return Recalled()
        self.bars = (found.bar,)
        bar_begins = place.bar * clock.beats_per_bar
        beats = clock.beat(now.position) - bar_begins - EPSILON  # halves round alike in a replay
        first = round(found.begins + beats * found.beat_frames)
        source, _ = now.history.before(first + sizes.block_frames, sizes.block_frames)
        into_bar = (clock.beat(now.middle) - bar_begins) / clock.beats_per_bar
        end = int(into_bar * len(found.blocks)) + 2  # what follows is heard as well
        count = round(controls.recall * sizes.context_frames / 2 / sizes.block_frames)
        return Recalled(
            source if source.shape[1] == sizes.block_frames else None,
            FAINT - (FAINT - CLOSE) * controls.recall,
            windowed(found.blocks, end, count) if found.blocks and count else None,
        )

    def _returning(self, place: Place, bars_per_minute: float, sizes: Sizes) -> Statement | None:
        """The bar that returns at a place, if one does."""
        context_minutes = sizes.context_frames * sizes.frame_samples / sizes.sample_rate / 60.0
        held = int(context_minutes * bars_per_minute) + 1
        return self._memory.nearest(place, min(self._visit(place), place.bar - held))

    def keep(self, now: Moment, stream: BlockStream) -> None:
        """A block was made; the keys and values of that before are kept."""
        clock, sizes, place, middle = now.clock, now.sizes, now.place, now.middle
        recalls = now.controls.recall > 0.0
        if recalls and self._last is not None:
            block = stream.to_remember()
            if block is not None:
                self._memory = self._memory.after(self._last, block)
        if recalls:
            beat_frames = 60.0 / clock.bpm(middle) * sizes.sample_rate / sizes.frame_samples
            beats = clock.beat(middle) - place.bar * clock.beats_per_bar
            begins = now.history.frames - sizes.block_frames / 2 - beats * beat_frames
            self._memory = self._memory.with_bar(place, begins, beat_frames)
        self._since, self._last = self._visit(place), place

    def _visit(self, place: Place) -> int:
        """The bar at which the section that is played at a place began."""
        new = self._last is None or self._last.section != place.section
        return place.bar if new else self._since

    def moved(self, bars: int) -> None:
        """The clock jumps by so many bars: what was played so long ago stays so long ago.

        A sequencer that loops comes back to bars whose first statements are kept.
        """
        if bars:
            self._memory, self._since = self._memory.moved(bars), self._since + bars
            if self._last is not None:
                self._last = replace(self._last, bar=self._last.bar + bars)

    def taken_back(self, frame: int) -> None:
        """The musician went back: what was stated from a frame of the stream on is no memory."""
        self._memory = self._memory.until(frame)

    def forget(self) -> None:
        """Begins anew."""
        self._memory, self._last, self._since, self.bars = Memory(), None, 0, ()

    def snapshot(self) -> RecollectionSnapshot:
        """The present state; nothing is copied."""
        return self._memory, self._last, self._since, self.bars

    def restore(self, snapshot: RecollectionSnapshot) -> None:
        """Back to a snapshot."""
        self._memory, self._last, self._since, self.bars = snapshot
