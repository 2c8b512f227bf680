"""Which bars of long ago a session hears again, and which it keeps."""

from __future__ import annotations

from lmdm.live.clock import EPSILON, MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.sizes import Sizes
from lmdm.stream.block_stream import BlockStream
from lmdm.stream.memory import Memory, Place, Remembered, windowed

RecollectionSnapshot = tuple[Memory, Place | None, int, tuple[int, ...]]


class Recollection:
    """The session's long-form memory: it keeps bars while `SetRecall` is above 0.

    The section is that of `SetSection`, or else the heaviest prompt.

    Threads: none; its session calls it.
    """

    def __init__(self) -> None:
        self._memory = Memory()
        self._last: Place | None = None  # of the newest block, which is not encoded yet
        self._since = 0  # bar at which the present section began: what it says now is no memory
        self.bars: tuple[int, ...] = ()  # heard again in the newest block

    @property
    def remembered(self) -> int:
        """Bars that are kept."""
        return len(self._memory.bars)

    def place(self, controls: Controls, clock: MusicalClock, sample: float) -> Place:
        """Where in the form a stream position is."""
        bar = int((clock.beat(sample) + EPSILON) // clock.beats_per_bar)
        prompts = controls.weighted_prompts()
        section = controls.section or (max(prompts, key=lambda p: p[1])[0] if prompts else "")
        return Place(section, bar % clock.bars_per_phrase, bar)

    def for_block(
        self, controls: Controls, clock: MusicalClock, middle: float, sizes: Sizes
    ) -> Remembered | None:
        """Frames for the block whose middle is a stream position; None if nothing is recalled.

        At most half of the context. Bars of this visit to the section, and those that the context
        still holds, are left out: a theme is to return, not to run in a loop.
        """
        self.bars = ()
        count = round(controls.recall * sizes.context_frames / 2 / sizes.block_frames)
        if count == 0:
            return None
        place = self.place(controls, clock, middle)
        seconds = sizes.context_frames * sizes.frame_samples / sizes.sample_rate
        held = int(seconds * clock.bpm(middle) / 60.0 / clock.beats_per_bar) + 1
        found = self._memory.nearest(place, min(self._visit(place), place.bar - held))
        if found is None:
            return None
        number, blocks = found
        beat = clock.beat(middle) % clock.beats_per_bar
        self.bars = (number,)
        end = int(beat / clock.beats_per_bar * len(blocks)) + 2  # what follows is heard as well
        return windowed(blocks, end, count)

    def keep(
        self, controls: Controls, clock: MusicalClock, middle: float, stream: BlockStream
    ) -> None:
        """A block was made whose middle is a stream position; the one before it is kept."""
        if controls.recall > 0.0 and self._last is not None:
            block = stream.to_remember()
            if block is not None:
                self._memory = self._memory.after(self._last, block)
        place = self.place(controls, clock, middle)
        self._since, self._last = self._visit(place), place

    def _visit(self, place: Place) -> int:
        """The bar at which the section that is played at a place began."""
        new = self._last is None or self._last.section != place.section
        return place.bar if new else self._since

    def forget(self) -> None:
        """Begins anew."""
        self._memory, self._last, self._since, self.bars = Memory(), None, 0, ()

    def snapshot(self) -> RecollectionSnapshot:
        """The present state; nothing is copied."""
        return self._memory, self._last, self._since, self.bars

    def restore(self, snapshot: RecollectionSnapshot) -> None:
        """Back to a snapshot."""
        self._memory, self._last, self._since, self.bars = snapshot
