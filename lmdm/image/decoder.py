"""The pixel decoder: a ViT over patch tokens and detail tokens; patches alone become pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmdm.image.layers import SelfAttentionBlock, sincos_positions, unpatchify


class ViTDecoder(nn.Module):
    """MAE-style (RAE, arXiv 2510.11690): full attention over [z_1 .. z_N; q_1 .. q_Q] (DecQ §3.2).

    Patch tokens have fixed sine-cosine positions. Detail tokens, which have no place in the
    picture, have a learned embedding for each slot.
    """

    def __init__(
        self, token_dim: int, grid: int, queries: int, patch: int, dim: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(token_dim, dim)
        self.positions: Tensor
        self.register_buffer("positions", sincos_positions(grid, dim), persistent=False)
        self.slots = nn.Parameter(0.02 * torch.randn(queries, dim)) if queries else None
        self.blocks = nn.ModuleList(SelfAttentionBlock(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.to_pixels = nn.Linear(dim, 3 * patch**2)

    def forward(self, z: Tensor, q: Tensor | None) -> Tensor:
        """z [B, N, token_dim], q [B, Q, token_dim] or None -> images [B, 3, H, W], about 0..1."""
        tokens = self.embed(z) + self.positions
        if self.slots is not None and q is not None:
            tokens = torch.cat([tokens, self.embed(q) + self.slots], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        patches = self.to_pixels(self.norm(tokens[:, : z.shape[1]]))
        return unpatchify(patches.float(), self.patch) + 0.5
