"""What a stream remembers: the clean past as latents, and its keys and values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.dit.cache import KVCache


@dataclass(frozen=True)
class Context:
    """The newest clean frames, oldest first. Immutable: a snapshot is a reference.

    latents [C, n] and local [L, n], n <= context_frames; `cache` holds keys and values of what came
    before the newest block, or is None where all must be encoded anew from the latents.
    """

    latents: Tensor
    local: Tensor
    cache: KVCache | None = None

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.latents.shape[1]

    def extended(self, latents: Tensor, local: Tensor, most: int) -> Context:
        """With a new block at its end and at most `most` frames; the cache is yet without it."""
        joined = torch.cat([self.latents, latents], dim=1)[:, -most:]
        heard = torch.cat([self.local, local], dim=1)[:, -most:]
        return Context(joined, heard, self.cache)

    def detached(self) -> Context:
        """The same without the graph of its computation."""
        cache = None if self.cache is None else self.cache.detached()
        return Context(self.latents.detach(), self.local.detach(), cache)

    def newest(self, frames: int) -> Context:
        """The newest frames only. Keys and values, which saw the others, are forgotten as well."""
        start = max(0, self.frames - frames)
        return Context(self.latents[:, start:], self.local[:, start:])

    def padded(self, local: Tensor) -> Context:
        """Silent frames before the oldest, as many as their local conditions [L, n]."""
        missing = local.shape[1]
        return Context(
            F.pad(self.latents, (missing, 0)), torch.cat([local.to(self.local), self.local], dim=1)
        )


@dataclass(frozen=True)
class BlockConditions:
    """What the musician asks of one block.

    text_tokens, negative_text_tokens: [N, D] or None (no text). local: [L, o] or None.
    global_condition: [G] or None. guidance: 1 follows the conditions, more exaggerates them; the
    null condition is the negative text, or none, without local conditions. parallel: share that is
    kept of what guidance adds along the sound itself (see `guided_velocity`). guided: False leaves
    out the null row even of a stream that keeps it at guidance 1, which halves the cost; when it
    returns the context is encoded anew.
    """

    text_tokens: Tensor | None = None
    local: Tensor | None = None
    global_condition: Tensor | None = None
    negative_text_tokens: Tensor | None = None
    guidance: float = 1.0
    parallel: float = 1.0
    guided: bool = True
