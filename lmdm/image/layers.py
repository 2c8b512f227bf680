"""The pieces that the small ViT, the condenser, the decoder and the joint DiT are built from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.layers import merge_heads, split_heads


def patchify(images: Tensor, patch: int) -> Tensor:
    """[B, 3, G p, G p] -> [B, G G, 3 p p], row by row."""
    return F.pixel_unshuffle(images, patch).flatten(2).transpose(1, 2)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """Undoes `patchify` on a square grid."""
    grid = round(patches.shape[1] ** 0.5)
    return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (grid, grid)), patch)


def sincos_positions(grid: int, dim: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of MAE, [grid * grid, dim], a half for rows and columns.

    The sine and cosine bands share `dim` as evenly as it divides; a remainder is left at zero.
    """
    bands = dim // 4
    frequency = 1.0 / 10000 ** (torch.arange(bands, dtype=torch.float64) / max(bands, 1))
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * frequency
    axis = torch.cat([angle.sin(), angle.cos()], dim=1)
    rows = axis[:, None].expand(grid, grid, -1)
    columns = axis[None].expand(grid, grid, -1)
    table = torch.cat([rows, columns], dim=-1).reshape(grid * grid, -1)
    return F.pad(table, (0, dim - table.shape[1])).float()


class Attention(nn.Module):
    """Multi-head attention of queries to a context, which may be of another width."""

    def __init__(self, dim: int, heads: int, context_dim: int | None = None) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is not divisible by {heads} heads")
        self.head_dim = dim // heads
        self.to_q = nn.Linear(dim, dim)
        self.to_kv = nn.Linear(context_dim or dim, 2 * dim)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        """queries [B, Q, dim], context [B, N, context_dim] -> [B, Q, dim]."""
        query = split_heads(self.to_q(queries), self.head_dim)
        key, value = (split_heads(part, self.head_dim) for part in self.to_kv(context).chunk(2, -1))
        return self.to_out(merge_heads(F.scaled_dot_product_attention(query, key, value)))


class FeedForward(nn.Sequential):
    """Linear, GELU, linear; four times as wide within."""

    def __init__(self, dim: int, multiplier: int = 4) -> None:
        super().__init__(
            nn.Linear(dim, multiplier * dim), nn.GELU(), nn.Linear(multiplier * dim, dim)
        )


class SelfAttentionBlock(nn.Module):
    """x + SA(LN x); x + FF(LN x)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.feedforward_norm, self.feedforward = nn.LayerNorm(dim), FeedForward(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, dim] -> [B, N, dim]."""
        normed = self.attention_norm(tokens)
        tokens = tokens + self.attention(normed, normed)
        return tokens + self.feedforward(self.feedforward_norm(tokens))
