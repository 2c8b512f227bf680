"""What a session has played: latents block by block, and how things stood at every bar.

It lets the musician go back to a bar, prime the model with its own last bars, and hands the newest
latents to an engine that takes over.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.live.clock import EPSILON
from lmdm.live.controls import Controls

KEPT_FRAMES = 8192  # 6.3 minutes; 13 MB of the starter's latents and local features


@dataclass(frozen=True)
class Bar:
    """The beginning of a bar: its frame, its beat, and the controls then."""

    frame: int
    beat: float
    controls: Controls


@dataclass(frozen=True)
class HistorySnapshot:
    """A history at one moment; what it holds is shared, not copied."""

    blocks: tuple[tuple[Tensor, Tensor], ...]
    bars: tuple[Bar, ...]
    dropped: int


class History:
    """Grows block by block; snapshots are exact."""

    def __init__(self, block_frames: int) -> None:
        self._block_frames = block_frames
        self._blocks: deque[tuple[Tensor, Tensor]] = deque()  # latents [C, o], local [L, o]
        self._bars: deque[Bar] = deque()
        self._dropped = 0  # blocks too old to keep

    @property
    def frames(self) -> int:
        """Frames played, those dropped included."""
        return (self._dropped + len(self._blocks)) * self._block_frames

    def add(self, latents: Tensor, local: Tensor, bars: list[Bar]) -> None:
        """One block and the bars that began in it."""
        self._blocks.append((latents, local))
        self._bars.extend(bars)
        while len(self._blocks) * self._block_frames > KEPT_FRAMES:
            self._blocks.popleft()
            self._dropped += 1
        first = self._dropped * self._block_frames
        while self._bars and self._bars[0].frame < first:
            self._bars.popleft()

    def bars_back(self, beat: float, bars: int) -> Bar | None:
        """The beginning of the bar `bars` before the present one; None if that is forgotten.

        beat: the musical position now. A bar that began less than half a beat ago counts as the
        one before it, as a musician who goes back on the downbeat means.
        """
        begun = list(self._bars)
        if begun and beat - begun[-1].beat < 0.5:
            begun.pop()
        return begun[-1 - bars] if len(begun) > bars else None

    def forget_bars(self) -> None:
        """Nobody can go back beyond this place."""
        self._bars.clear()

    def depth(self) -> int:
        """How many bars one can go back."""
        return max(0, len(self._bars) - 1)

    def before(self, frame: int, count: int) -> tuple[Tensor, Tensor]:
        """Latents [C, n] and local features [L, n] of the `count` frames before `frame`.

        n is smaller where less is there; without any frame both are empty.
        """
        size = self._block_frames
        first = max(frame - count, self._dropped * size)
        held = range(first // size, -(-frame // size))
        pieces = [self._blocks[index - self._dropped] for index in held]
        if not pieces:
            return torch.zeros(0, 0), torch.zeros(0, 0)
        start = first - held.start * size if pieces else 0
        latents, local = (
            torch.cat([piece[kind] for piece in pieces], dim=1)[:, start : start + frame - first]
            for kind in (0, 1)
        )
        return latents, local

    def snapshot(self) -> HistorySnapshot:
        """The present state."""
        return HistorySnapshot(tuple(self._blocks), tuple(self._bars), self._dropped)

    def restore(self, snapshot: HistorySnapshot) -> None:
        """Back to a snapshot."""
        self._blocks, self._bars = deque(snapshot.blocks), deque(snapshot.bars)
        self._dropped = snapshot.dropped


def bars_begun(
    beats: Sequence[float], beats_per_bar: int, first: int, controls: Controls
) -> list[Bar]:
    """The bars that begin in a block.

    beats: at every frame's beginning and at the block's end. first: number of the first frame.
    """
    bars = []
    for frame in range(len(beats) - 1):
        here, after = beats[frame], beats[frame + 1]
        downbeat = beats_per_bar * math.ceil(here / beats_per_bar - EPSILON)
        if downbeat < after - EPSILON:
            late = downbeat - here > (after - here) / 2
            bars.append(Bar(first + frame + late, float(downbeat), controls))
    return bars
