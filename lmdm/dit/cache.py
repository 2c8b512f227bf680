"""Keys and values of the context: one constant-shape store for all layers."""

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
    snapshot of a stream is a reference.
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

    def append(self, fresh: list[KeysValues], moved: Rotation | None) -> KVCache:
        """Evict as many oldest frames as come in, and move what stays by `moved` positions.

        fresh: per layer [B, heads, n, head_dim], its keys rotated already for the last n slots.
        `moved` re-rotates kept keys (by -n positions when slots keep fixed positions).
        """
        incoming_keys = torch.stack([key for key, _ in fresh])
        incoming_values = torch.stack([value for _, value in fresh])
        count = min(incoming_keys.shape[3], self.context)
        kept = self.keys[:, :, :, count:]
        if moved is not None:
            kept = rotate(kept, moved)
        return KVCache(
            torch.cat([kept, incoming_keys[:, :, :, -count:]], dim=3),
            torch.cat([self.values[:, :, :, count:], incoming_values[:, :, :, -count:]], dim=3),
            min(self.context, self.valid + count),
        )
