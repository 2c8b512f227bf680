"""Long-form memory: what was played long ago, heard again when its section returns.

A stream forgets what leaves its window. Here every bar's first statement is kept, by section and
place in the phrase: where its latents lie and, of a block-causal stream, its clean keys and values.
When the form comes back to that place they stand in the oldest slots of the context (dossier
WorldKV §10). So a pass has as many tokens with memory as without, and costs the same. Keys are kept
without their rotation and turned at reading, since a position far in the past was never trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lmdm.dit.cache import KVCache
from lmdm.dit.model import DiT
from lmdm.dit.rotary import rotate
from lmdm.stream.config import StreamConfig

MOST_BARS = 64  # of the starter 115 MB


@dataclass(frozen=True)
class Remembered:
    """Keys, unrotated, and values of consecutive frames [depth, R, heads, n, head_dim]; 16 bits."""

    keys: Tensor
    values: Tensor


@dataclass(frozen=True)
class Place:
    """Where in the form a block stands: section, bar in the phrase, bar of the piece."""

    section: str
    phrase_bar: int
    bar: int


@dataclass(frozen=True)
class Statement:
    """A bar as it was first played: its number, and the latent frame at which it begins.

    begins, beat_frames: in frames of the stream, fractions included; blocks: oldest first.
    """

    bar: int
    begins: float
    beat_frames: float
    blocks: tuple[Remembered, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Bars by section and place in the phrase; immutable, so a snapshot is a reference.

    Only the first statement of each is kept, and the oldest go when there are too many.
    """

    bars: Mapping[tuple[str, int], Statement] = field(default_factory=dict)

    def with_bar(self, place: Place, begins: float, beat_frames: float) -> Memory:
        """With a bar that is played; itself where that place was stated before."""
        key = (place.section, place.phrase_bar)
        if key in self.bars:
            return self
        bars = {**self.bars, key: Statement(place.bar, begins, beat_frames)}
        while len(bars) > MOST_BARS:
            del bars[min(bars, key=lambda each: bars[each].bar)]
        return replace(self, bars=bars)

    def after(self, place: Place, block: Remembered) -> Memory:
        """With one more block at the end of its bar."""
        key = (place.section, place.phrase_bar)
        stated = self.bars.get(key)
        if stated is None or stated.bar != place.bar:
            return self
        return replace(
            self, bars={**self.bars, key: replace(stated, blocks=(*stated.blocks, block))}
        )

    def until(self, frame: int) -> Memory:
        """Without what was stated from a frame of the stream on, give or take one."""
        kept = {key: each for key, each in self.bars.items() if each.begins < frame - 1.0}
        return replace(self, bars=kept)

    def moved(self, bars: int) -> Memory:
        """The same statements, where the numbers of the piece's bars are counted anew."""
        return replace(
            self, bars={key: replace(each, bar=each.bar + bars) for key, each in self.bars.items()}
        )

    def nearest(self, place: Place, before: int) -> Statement | None:
        """The bar most like a place, among those of its section before a bar.

        Distance is that of the bars in the phrase; None where the section is new.
        """
        found = [
            (abs(phrase_bar - place.phrase_bar), each.bar, each)
            for (section, phrase_bar), each in self.bars.items()
            if section == place.section and each.bar < before
        ]
        return min(found, key=lambda each: each[:2])[2] if found else None


def newest_block(dit: DiT, config: StreamConfig, cache: KVCache) -> Remembered | None:
    """The newest block of a full cache, its keys unrotated."""
    block = config.block_frames
    if cache.valid < block:
        return None
    first = config.context_frames - block + 1
    positions = torch.arange(first, first + block, device=cache.keys.device)
    keys = rotate(cache.keys[:, :, :, -block:], dit.rotation(-positions))
    return Remembered(keys.half(), cache.values[:, :, :, -block:].half())


def windowed(blocks: tuple[Remembered, ...], end: int, count: int) -> Remembered:
    """`count` blocks up to the `end`-th of a bar, or fewer where it has fewer."""
    end = min(len(blocks), max(end, count))
    chosen = blocks[max(0, end - count) : end]
    return Remembered(
        torch.cat([each.keys for each in chosen], dim=3),
        torch.cat([each.values for each in chosen], dim=3),
    )


def recalled(dit: DiT, cache: KVCache, remembered: Remembered | None) -> KVCache:
    """The cache with remembered frames in its oldest slots; itself where it is not yet full."""
    if remembered is None or cache.valid < cache.context:
        return cache
    frames = remembered.keys.shape[3]
    if remembered.keys.shape[1] != cache.keys.shape[1] or frames >= cache.context:
        return cache
    positions = torch.arange(1, frames + 1, device=cache.keys.device)
    like = cache.key_slots
    keys, values = like.clone(), cache.value_slots.clone()
    keys[:, :, :, :frames] = rotate(remembered.keys.to(like), dit.rotation(positions))
    values[:, :, :, :frames] = remembered.values.to(like)
    return replace(cache, key_slots=keys, value_slots=values)
