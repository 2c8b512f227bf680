"""Keys and values of the context, for all layers in one store."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmdm.dit.layers import KeysValues, Past
from lmdm.dit.rotary import Rotation, rotate


@dataclass(frozen=True)
class KVCache:
    """Slots [depth, B, heads, context + room, head_dim]; keys after QK-norm and RoPE.

    Of the context the newest `valid` slots, at the right, are filled; a mask hides the others.
    `room` slots after it are scratch for the tokens of one pass at a time, which spares inference
    from copying the context at every step. The context never changes, so a snapshot of a stream is
    a reference, and a stream's cache always has the same shape.
    """

    key_slots: Tensor
    value_slots: Tensor
    valid: int
    room: int = 0

    @classmethod
    def empty(
        cls, depth: int, batch: int, heads: int, context: int, head_dim: int, like: Tensor
    ) -> KVCache:
        """No context yet."""
        zeros = like.new_zeros(depth, batch, heads, context, head_dim)
        return cls(zeros, zeros, 0)

    @classmethod
    def of(cls, fresh: list[KeysValues]) -> KVCache:
        """What one pass of the transformer gave, all of it filled."""
        keys = torch.stack([key for key, _ in fresh])
        return cls(keys, torch.stack([value for _, value in fresh]), keys.shape[3])

    @property
    def context(self) -> int:
        """Slots of context, filled or not."""
        return self.key_slots.shape[3] - self.room

    @property
    def keys(self) -> Tensor:
        """[depth, B, heads, context, head_dim]."""
        return self.key_slots[:, :, :, : self.context]

    @property
    def values(self) -> Tensor:
        """[depth, B, heads, context, head_dim]."""
        return self.value_slots[:, :, :, : self.context]

    def rows(self, count: int) -> KVCache:
        """The first `count` rows of the batch; rows know nothing of one another."""
        return replace(
            self, key_slots=self.key_slots[:, :count], value_slots=self.value_slots[:, :count]
        )

    def layer(self, index: int) -> Past:
        """One layer's keys and values."""
        return Past(self.key_slots[index], self.value_slots[index], self.room)

    def slots_allowed(self) -> Tensor:
        """bool [context]: which slots hold context."""
        slots = torch.arange(self.context, device=self.key_slots.device)
        return slots >= self.context - self.valid

    def detached(self) -> KVCache:
        """The same without the graph of its computation."""
        return replace(
            self, key_slots=self.key_slots.detach(), value_slots=self.value_slots.detach()
        )

    def without_oldest(self, frames: int, moved: Rotation | None) -> KVCache:
        """The oldest `frames` slots left out, the keys that stay moved by `moved` positions.

        Rotations add, so a key moved by -n is the key that position p - n would have had.
        """
        keys = self.keys[:, :, :, frames:]
        if moved is not None:
            keys = rotate(keys, moved)
        return KVCache(keys, self.values[:, :, :, frames:], min(self.valid, keys.shape[3]))

    def extended(self, newer: KVCache) -> KVCache:
        """With newer slots at the right. Those must be filled."""
        return KVCache(
            torch.cat([self.keys, newer.keys], dim=3),
            torch.cat([self.values, newer.values], dim=3),
            self.valid + newer.valid,
        )

    def with_room(self, tokens: int) -> KVCache:
        """A copy with room for passes of so many tokens; itself where gradients may be wanted."""
        if torch.is_grad_enabled():
            return self
        return KVCache(
            _widened(self.keys, tokens), _widened(self.values, tokens), self.valid, tokens
        )

    def after(self, fresh: list[KeysValues], frames: int) -> KVCache:
        """With the first `frames` tokens of the pass that gave `fresh` as the newest context."""
        if self.room and not torch.is_grad_enabled():  # they lie in their slots already
            return replace(self, valid=self.valid + frames, room=self.room - frames)
        kept = [(key[:, :, :frames], value[:, :, :frames]) for key, value in fresh]
        return self.extended(KVCache.of(kept))


def _widened(slots: Tensor, tokens: int) -> Tensor:
    """A copy with so many slots more, yet unwritten."""
    *batch, count, channels = slots.shape
    wide = slots.new_empty(*batch, count + tokens, channels)
    wide[:, :, :, :count] = slots
    return wide
