"""Causal ConvNeXt blocks with explicit state: a stream and a whole file run the same code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalConvNeXt(nn.Module):
    """Depthwise causal convolution, LayerNorm, MLP, residual (ConvNeXt, arXiv 2201.03545).

    The convolution at frame n reads frames n-kernel+1..n only. Its memory is passed in and out, so
    that feeding a signal in pieces gives what feeding it whole gives.
    """

    def __init__(self, dim: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.taps = nn.Parameter(torch.randn(kernel, dim) / kernel)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, expansion * dim)
        self.contract = nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.1))

    def initial_state(self, batch: int) -> Tensor:
        """Silence before the first frame: zeros [batch, kernel-1, dim]."""
        return self.taps.new_zeros(batch, self.kernel - 1, self.taps.shape[1])

    def forward(self, hidden: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """hidden [B, n, dim], state [B, kernel-1, dim] -> the same shapes, n frames later."""
        frames = hidden.shape[1]
        padded = torch.cat([state, hidden], dim=1)
        # A sum of shifted products gives the same rounding whatever the number of frames is.
        mixed = self.taps[0] * padded[:, :frames]
        for tap in range(1, self.kernel):
            mixed = mixed + self.taps[tap] * padded[:, tap : tap + frames]
        mixed = self.contract(F.gelu(self.expand(self.norm(mixed))))
        return hidden + self.scale * mixed, padded[:, frames:]


class CausalStack(nn.Module):
    """Several `CausalConvNeXt` blocks in a row; the state is a tuple, one entry a block."""

    def __init__(self, dim: int, depth: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CausalConvNeXt(dim, kernel, expansion) for _ in range(depth))

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros for every block."""
        return tuple(block.initial_state(batch) for block in self.blocks)  # type: ignore[operator]

    def forward(
        self, hidden: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """hidden [B, n, dim] -> hidden [B, n, dim] and the next state."""
        after = []
        for block, memory in zip(self.blocks, state, strict=True):
            hidden, memory = block(hidden, memory)
            after.append(memory)
        return hidden, tuple(after)
