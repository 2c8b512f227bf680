"""Keys and values of the context, for all layers in one store."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.dit.layers import KeysValues
from lmdm.dit.rotary import Rotation, rotate


@dataclass(frozen=True)
class KVCache:
    """keys, values [depth, B, heads, context, head_dim]; keys after QK-norm and RoPE.

    The newest `valid` slots, at the right, are filled; a mask hides the others. Immutable, so a
    snapshot of a stream is a reference, and a stream's cache always has the same shape.
    """

    keys: Tensor
    values: Tensor
    valid: int

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
        """Slots, filled or not."""
        return self.keys.shape[3]

    def layer(self, index: int) -> KeysValues:
        """One layer's keys and values."""
        return self.keys[index], self.values[index]

    def slots_allowed(self) -> Tensor:
        """bool [context]: which slots hold context."""
        slots = torch.arange(self.context, device=self.keys.device)
        return slots >= self.context - self.valid

    def without_oldest(self, frames: int, moved: Rotation | None) -> KVCache:
        """The oldest `frames` slots left out, the keys that stay moved by `moved` positions.

        Rotations add, so a key moved by -n is the key that position p - n would have had.
        """
        keys = self.keys[:, :, :, frames:]
        if moved is not None:
            keys = rotate(keys, moved)
        remaining = self.context - frames
        return KVCache(keys, self.values[:, :, :, frames:], min(self.valid, remaining))

    def extended(self, newer: KVCache) -> KVCache:
        """With newer slots at the right. Those must be filled."""
        return KVCache(
            torch.cat([self.keys, newer.keys], dim=3),
            torch.cat([self.values, newer.values], dim=3),
            self.valid + newer.valid,
        )
