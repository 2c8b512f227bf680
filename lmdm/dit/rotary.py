"""Rotary position embedding on the first part of each head (RoFormer, arXiv 2104.09864)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Rotation(NamedTuple):
    """cos and sin of position x frequency, [N, rotary_dim] or [B, 1, N, rotary_dim]."""

    cos: Tensor
    sin: Tensor


class RotaryPositions(nn.Module):
    """Holds `inv_freq` under stable-audio-tools' name; checkpoints bring their own values.

    They stay float32 when the model turns to half precision: bfloat16 cannot tell position 95
    from 95.3.
    """

    def __init__(self, rotary_dim: int, base: float) -> None:
        super().__init__()
        powers = torch.arange(0, rotary_dim, 2).double() / rotary_dim
        self.inv_freq: Tensor
        self.register_buffer("inv_freq", (1.0 / base**powers).float())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryPositions:
        precise = self.inv_freq
        super()._apply(fn, recurse)
        if self.inv_freq.dtype in (torch.bfloat16, torch.float16):
            self.inv_freq = precise.to(self.inv_freq.device)
        return self

    def forward(self, positions: Tensor) -> Rotation:
        """positions [N] or [B, N] (any real numbers) -> the rotation by them."""
        angles = positions[..., None].to(self.inv_freq) * self.inv_freq
        angles = torch.cat([angles, angles], dim=-1)
        if positions.dim() == 2:
            angles = angles[:, None]
        return Rotation(angles.cos(), angles.sin())


def rotate(vectors: Tensor, rotation: Rotation) -> Tensor:
    """Turn the first rotary_dim channels of [..., N, head_dim]; half-split pairs, rest untouched.

    Rotations add: rotate(rotate(x, p), q) == rotate(x, p + q), so cached keys can be moved.
    """
    width = rotation.cos.shape[-1]
    turning, fixed = vectors[..., :width], vectors[..., width:]
    first, second = turning.chunk(2, dim=-1)
    crossed = torch.cat([-second, first], dim=-1)
    cos, sin = rotation.cos.to(vectors.dtype), rotation.sin.to(vectors.dtype)
    return torch.cat([torch.addcmul(turning * cos, crossed, sin), fixed], dim=-1)
