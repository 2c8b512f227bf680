"""The detail condenser: learned queries read a frozen backbone's intermediate layers (DecQ, §3.1).

    Q <- Q + MHA(q = LN Q, k = v = LN F_l);  Q <- Q + MLP(LN Q)    for every tap l, shallow to deep
    q  = LayerNorm without affine (Q)

The last norm gives the queries the scale of the patch tokens, so that one noise level and one
diffusion schedule suit both, and the autoencoder cannot hide detail in a query's length.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmdm.image.backbones.protocol import layer_norm
from lmdm.image.layers import Attention, FeedForward


class CondenserBlock(nn.Module):
    """Queries read one tap; optionally they then read one another."""

    def __init__(
        self,
        dim: int,
        tap_dim: int,
        heads: int,
        multiplier: int,
        self_attention: bool,
        gate: bool,
    ) -> None:
        super().__init__()
        self.query_norm, self.tap_norm = nn.LayerNorm(dim), nn.LayerNorm(tap_dim)
        self.read = Attention(dim, heads, tap_dim)
        self.gate = nn.Parameter(torch.zeros(())) if gate else None
        self.self_norm = nn.LayerNorm(dim) if self_attention else None
        self.exchange = Attention(dim, heads) if self_attention else None
        self.feedforward_norm = nn.LayerNorm(dim)
        self.feedforward = FeedForward(dim, multiplier)

    def forward(self, queries: Tensor, tap: Tensor) -> Tensor:
        """queries [B, Q, dim], tap [B, N, tap_dim] -> [B, Q, dim]."""
        detail = self.read(self.query_norm(queries), self.tap_norm(tap))
        queries = queries + (detail if self.gate is None else self.gate * detail)
        if self.self_norm is not None and self.exchange is not None:
            normed = self.self_norm(queries)
            queries = queries + self.exchange(normed, normed)
        return queries + self.feedforward(self.feedforward_norm(queries))


class DetailCondenser(nn.Module):
    """The queries Q_0 and one block a tap. Of the whole system, only this reads the taps.

    gate: each tap's reading is scaled by a learned number that begins at 0 (one secondary source
    says DecQ does; it is uncorroborated, so the default is no gate).
    """

    def __init__(
        self,
        queries: int,
        dim: int,
        tap_dims: Sequence[int],
        heads: int,
        multiplier: int = 4,
        self_attention: bool = False,
        gate: bool = False,
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, dim) / dim**0.5)
        self.blocks = nn.ModuleList(
            CondenserBlock(dim, tap_dim, heads, multiplier, self_attention, gate)
            for tap_dim in tap_dims
        )

    def forward(self, taps: Sequence[Tensor], batch: int) -> Tensor:
        """Taps [B, N_l, tap_dim_l], shallow to deep -> detail tokens q [B, Q, dim], in float32."""
        queries = self.queries.expand(batch, -1, -1)
        for block, tap in zip(self.blocks, taps, strict=True):
            queries = block(queries, tap)
        return layer_norm(queries)
