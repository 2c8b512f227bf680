"""Stage 2: a diffusion transformer over patch tokens and detail tokens together (DecQ, §3.3).

RAE's DiT-DH: blocks with adaptive RMSNorm, SwiGLU and 2-D rotary positions, then a shallow and wide
head that sees the noisy tokens again and is steered, token by token, by what the blocks made out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.layers import merge_heads, split_heads
from lmdm.dit.rotary import Rotation, rotate
from lmdm.errors import InputError
from lmdm.image.layers import sincos_positions


@dataclass(frozen=True)
class JointDiTConfig:
    """Sizes of the joint transformer. Those of the paper: 28 x 1152, head 2 x 2048, 16 heads."""

    dim: int = 128
    depth: int = 4
    heads: int = 4
    head_dim: int = 192  # width of the wide head
    head_depth: int = 1
    head_heads: int = 4
    classes: int = 1  # 1: unconditional
    class_dropout: float = 0.1

    def __post_init__(self) -> None:
        for dim, heads in ((self.dim, self.heads), (self.head_dim, self.head_heads)):
            if dim % heads or (dim // heads) % 4:
                raise InputError(
                    f"joint DiT: {dim} channels on {heads} heads; the channels of a head must be a "
                    "multiple of 4"
                )


def axial_rotation(grid: int, queries: int, head_dim: int) -> Rotation:
    """2-D RoPE: half of a head turns with the row, half with the column; detail tokens not at all.

    cos, sin [grid * grid + queries, head_dim].
    """
    bands = head_dim // 4
    frequency = 1.0 / 10000 ** (torch.arange(bands, dtype=torch.float64) / bands)
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = torch.cat([axis.reshape(-1, 1) * frequency for axis in (rows, columns)], dim=1)
    angles = F.pad(torch.cat([angles, angles], dim=1), (0, 0, 0, queries)).float()
    return Rotation(angles.cos(), angles.sin())


class TimestepEmbedding(nn.Module):
    """Sines of t and a two-layer network."""

    def __init__(self, dim: int, features: int = 256) -> None:
        super().__init__()
        self.features = features
        self.net = nn.Sequential(nn.Linear(features, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """t [B] in 0..1 -> [B, dim]."""
        half = self.features // 2
        frequency = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
        angles = 1000 * t.float()[:, None] * frequency
        return self.net(torch.cat([angles.cos(), angles.sin()], dim=1))


class JointBlock(nn.Module):
    """Attention and SwiGLU, each shifted, scaled and gated by a condition (adaLN-zero).

    condition: [B, 1, dim] for all tokens alike, or [B, N, dim] for each its own.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.channels = dim // heads
        self.attention_norm, self.feedforward_norm = nn.RMSNorm(dim), nn.RMSNorm(dim)
        self.query_norm, self.key_norm = nn.RMSNorm(self.channels), nn.RMSNorm(self.channels)
        self.to_qkv, self.to_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        inner = 8 * dim // 3
        self.gated, self.output = nn.Linear(dim, 2 * inner), nn.Linear(inner, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, tokens: Tensor, condition: Tensor, rotation: Rotation) -> Tensor:
        """tokens [B, N, dim] -> [B, N, dim]."""
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = self.modulation(
            F.silu(condition)
        ).chunk(6, dim=-1)
        normed = self.attention_norm(tokens) * (1 + scale_a) + shift_a
        query, key, value = (
            split_heads(part, self.channels) for part in self.to_qkv(normed).chunk(3, dim=-1)
        )
        query, key = (
            rotate(self.query_norm(query), rotation),
            rotate(self.key_norm(key), rotation),
        )
        attended = merge_heads(F.scaled_dot_product_attention(query, key, value))
        tokens = tokens + gate_a * self.to_out(attended)
        normed = self.feedforward_norm(tokens) * (1 + scale_f) + shift_f
        value, gate = self.gated(normed).chunk(2, dim=-1)
        return tokens + gate_f * self.output(value * F.silu(gate))


class JointDiT(nn.Module):
    """The velocity of x = [norm z; norm q] on the rectified-flow path.

    Patch and detail tokens share one projection in and out. Patch tokens have fixed sine-cosine
    positions and RoPE, detail tokens a learned embedding for each slot and no RoPE.
    """

    def __init__(self, config: JointDiTConfig, token_dim: int, grid: int, queries: int) -> None:
        super().__init__()
        self.config, self.patches, self.queries = config, grid * grid, queries
        self.token_dim = token_dim
        self.embed = nn.Linear(token_dim, config.dim)
        self.positions: Tensor
        self.register_buffer("positions", sincos_positions(grid, config.dim), persistent=False)
        self.slots = nn.Parameter(0.02 * torch.randn(queries, config.dim)) if queries else None
        self.timestep = TimestepEmbedding(config.dim)
        self.classes = nn.Embedding(config.classes + 1, config.dim)  # the last one: no class
        self.blocks = nn.ModuleList(
            JointBlock(config.dim, config.heads) for _ in range(config.depth)
        )
        self.head_embed = nn.Linear(token_dim, config.head_dim)
        self.steer = nn.Linear(config.dim, config.head_dim)
        self.head = nn.ModuleList(
            JointBlock(config.head_dim, config.head_heads) for _ in range(config.head_depth)
        )
        self.norm = nn.RMSNorm(config.head_dim)
        self.to_velocity = nn.Linear(config.head_dim, token_dim)
        nn.init.zeros_(self.to_velocity.weight)
        nn.init.zeros_(self.to_velocity.bias)
        self.rotations = nn.ModuleDict()
        for name, dim, heads in (
            ("blocks", config.dim, config.heads),
            ("head", config.head_dim, config.head_heads),
        ):
            self.rotations[name] = _Rotation(axial_rotation(grid, queries, dim // heads))

    @property
    def no_class(self) -> int:
        """The label that stands for no class."""
        return self.config.classes

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x [B, N + Q, token_dim], t [B] in 0..1, labels [B] -> velocity, as x."""
        tokens = self.embed(x)
        places = self.positions if self.slots is None else torch.cat([self.positions, self.slots])
        tokens = tokens + places
        condition = (self.timestep(t) + self.classes(labels))[:, None]
        for block in self.blocks:
            tokens = block(tokens, condition, self.rotations["blocks"]())
        steering = self.steer(F.silu(tokens + condition))
        tokens = self.head_embed(x)
        for block in self.head:
            tokens = block(tokens, steering, self.rotations["head"]())
        return self.to_velocity(self.norm(tokens)).to(x.dtype)


class _Rotation(nn.Module):
    """Keeps a rotation on the module's device."""

    def __init__(self, rotation: Rotation) -> None:
        super().__init__()
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", rotation.cos, persistent=False)
        self.register_buffer("sin", rotation.sin, persistent=False)

    def forward(self) -> Rotation:
        return Rotation(self.cos, self.sin)
