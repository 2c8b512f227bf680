"""What a stream remembers: the clean past as latents, and its keys and values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.dit.cache import KVCache


@dataclass(frozen=True)
class Context:
    """The newest clean frames, oldest first. Immutable: a snapshot is a reference.

    latents [C, n] and local [L, n], n <= context_frames; `cache` holds keys and values of all but
    the newest `pending` frames, or is None where they must be made anew from the latents.
    """

    latents: Tensor
    local: Tensor
    cache: KVCache | None = None
    pending: int = 0

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.latents.shape[1]

    def extended(self, latents: Tensor, local: Tensor, most: int) -> Context:
        """With a new block at its end and at most `most` frames; the block is pending."""
        joined = torch.cat([self.latents, latents], dim=1)[:, -most:]
        heard = torch.cat([self.local, local], dim=1)[:, -most:]
        return Context(joined, heard, self.cache, latents.shape[1])

    def without_oldest(self, frames: int) -> Context:
        """Forget the oldest frames. Keys and values that saw them are forgotten as well."""
        return Context(self.latents[:, frames:], self.local[:, frames:])


@dataclass(frozen=True)
class BlockConditions:
    """What the musician asks of one block.

    text_tokens, negative_text_tokens: [N, D] or None (no text). local: [L, o] or None.
    global_condition: [G] or None. guidance: 1 follows the conditions, more exaggerates them.
    """

    text_tokens: Tensor | None = None
    local: Tensor | None = None
    global_condition: Tensor | None = None
    negative_text_tokens: Tensor | None = None
    guidance: float = 1.0
