"""The video diffusion transformer: 3-D rotary positions, AdaLN time, cross-attention, K/V.

One network for all four tools. Latents are [B, C, T, H, W]; a patch is a token; tokens come frame
after frame, row after row. Bidirectional by default; with a mask and `Past` it is block-causal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.layers import FeedForward, KeysValues, merge_heads, split_heads
from lmdm.dit.model import FourierFeatures
from lmdm.dit.rotary import Rotation, rotate
from lmdm.errors import InputError

Grid = tuple[int, int, int]  # tokens along time, height, width


@dataclass(frozen=True)
class VideoDiTConfig:
    """Sizes. Values that do not fit together raise InputError.

    patch: latent cells a token, along time, height, width. axes: rotary channels of a head along
    the same three (even; their sum at most the head's). features: channels that are given beside
    the latents, per latent cell (a ray angle, say). vocabulary: words a prompt may use; 0 for none.
    context_dim: width of context tokens that are given beside the words (a plan); 0 for none.
    context_grid: how many of them along the same three, each standing for its part of the latents;
    zeros if they have no places.
    """

    channels: int = 3
    dim: int = 96
    depth: int = 4
    heads: int = 3
    patch: Grid = (1, 4, 4)
    axes: Grid = (12, 10, 10)
    rope_base: float = 100.0
    features: int = 0
    vocabulary: int = 0
    context_dim: int = 0
    context_grid: Grid = (0, 0, 0)
    multiplier: int = 3

    def __post_init__(self) -> None:
        sizes = (self.channels, self.dim, self.depth, self.heads, self.multiplier, *self.patch)
        counts = (self.features, self.vocabulary, self.context_dim, *self.context_grid)
        if min(sizes) < 1 or min(counts) < 0:
            raise InputError("video model: sizes must be 1 or more")
        if self.dim % self.heads or self.dim // self.heads < sum(self.axes):
            raise InputError(
                f"video model: heads of {self.dim}/{self.heads} channels do not hold rotary axes "
                f"of {sum(self.axes)}"
            )
        if any(axis % 2 or axis < 0 for axis in self.axes) or not sum(self.axes):
            raise InputError(f"video model: rotary axes {self.axes} must be even and not all 0")

    @property
    def head_dim(self) -> int:
        """Channels a head."""
        return self.dim // self.heads

    @property
    def hears_context(self) -> bool:
        """Whether there is anything to cross-attend to."""
        return bool(self.vocabulary or self.context_dim)


def grid_positions(grid: Grid, start: float = 0.0) -> Tensor:
    """(time, row, column) of every token of a grid, time counted from `start`: [T H W, 3]."""
    axes = [torch.arange(size, dtype=torch.float32) for size in grid]
    axes[0] = axes[0] + start
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)


def spread_positions(grid: Grid, over: Grid) -> Tensor:
    """Positions of a coarse grid's tokens in units of a finer one's: the middles of their parts.

    grid (4, 2, 2) over (8, 4, 4): times 0.5, 2.5, ...; rows 0.5, 2.5. -> [T H W, 3].
    """
    scale = torch.tensor(over) / torch.tensor(grid)
    return (grid_positions(grid) + 0.5) * scale - 0.5


def rotation_of(config: VideoDiTConfig, positions: Tensor, segment: float = 0.0) -> Rotation:
    """The rotation of tokens at positions [N, 3] that belong to segment s.

    phi = [t w^t, h w^h, w w^w] (each axis with its own frequencies base^(-2j/axis)), and segment s
    adds s base^(-2j/D) to all D/2 channels (Bernini, Eq. 2): inside a segment nothing changes,
    between segments the offset tells them apart. s may be any real number.
    """
    angles = torch.cat(
        [
            positions[:, axis, None] * frequencies(size, config.rope_base).to(positions)
            for axis, size in enumerate(config.axes)
        ],
        dim=-1,
    )
    if segment:
        angles = angles + segment * frequencies(sum(config.axes), config.rope_base).to(positions)
    angles = torch.cat([angles, angles], dim=-1)
    return Rotation(angles.cos(), angles.sin())


def frequencies(size: int, base: float) -> Tensor:
    """base^(-2j/size), j = 0 .. size/2 - 1."""
    return 1.0 / base ** (torch.arange(0, size, 2, dtype=torch.float64) / max(size, 1))


def joined(rotations: Sequence[Rotation]) -> Rotation:
    """The rotation of several runs of tokens, one after another."""
    cos, sin = zip(*rotations, strict=True)
    return Rotation(torch.cat(cos), torch.cat(sin))


class Attention(nn.Module):
    """Multi-head attention of tokens to themselves and a past, or to a context."""

    def __init__(self, dim: int, head_dim: int, source_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.to_q = nn.Linear(dim, dim)
        self.to_kv = nn.Linear(source_dim, 2 * dim)
        self.to_out = nn.Linear(dim, dim)
        self.q_norm, self.k_norm = nn.RMSNorm(head_dim), nn.RMSNorm(head_dim)

    def queries(self, hidden: Tensor) -> Tensor:
        """[B, N, dim] -> [B, heads, N, head_dim], normalised."""
        return self.q_norm(split_heads(self.to_q(hidden), self.head_dim))

    def keys_values(self, source: Tensor) -> KeysValues:
        """[B, M, source_dim] -> keys (normalised) and values [B, heads, M, head_dim]."""
        key, value = (split_heads(part, self.head_dim) for part in self.to_kv(source).chunk(2, -1))
        return self.k_norm(key), value

    def attend(self, query: Tensor, keys_values: KeysValues, mask: Tensor | None = None) -> Tensor:
        """mask [N, M], True allows. -> [B, N, dim]."""
        attended = F.scaled_dot_product_attention(
            query, *keys_values, attn_mask=mask, scale=self.head_dim**-0.5
        )
        return self.to_out(merge_heads(attended))


def partly_placed(
    query: Tensor, key: Tensor, rotation: Rotation, places: Rotation
) -> tuple[Tensor, Tensor]:
    """Queries and keys of twice the channels whose products know of places where there are any.

    query [B, heads, N, D] stands at `rotation`; the last of the keys [B, heads, M, D] stand at
    `places`, the others nowhere: q.k for these, (rotated q).(rotated k) for those.
    """
    split = key.shape[2] - places.cos.shape[0]
    nowhere, placed = key[:, :, :split], rotate(key[:, :, split:], places)
    width = key.shape[-1]
    key = torch.cat([F.pad(nowhere, (0, width)), F.pad(placed, (width, 0))], dim=2)
    return torch.cat([query, rotate(query, rotation)], dim=-1), key


class VideoLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward; the time scales, shifts and gates them."""

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        dim = config.dim
        self.modulation = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.self_attention = Attention(dim, config.head_dim, dim)
        if config.hears_context:
            self.cross_norm = nn.LayerNorm(dim)
            self.cross_attention = Attention(dim, config.head_dim, dim)
            nn.init.zeros_(self.cross_attention.to_out.weight)
        self.feed_forward = FeedForward(dim, config.multiplier)
        last = self.feed_forward.ff[2]
        assert isinstance(last, nn.Linear)
        nn.init.xavier_uniform_(last.weight)  # the gates begin at zero instead

    def forward(
        self,
        hidden: Tensor,
        time: Tensor,
        rotation: Rotation,
        context: Tensor | None,
        mask: Tensor | None,
        past: KeysValues | None,
        places: Rotation | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """hidden, time [B, N or 1, dim] -> hidden and the fresh (rotated) keys and values."""
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = self.modulation(time).chunk(6, -1)
        normed = F.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale_a) + shift_a
        query = rotate(self.self_attention.queries(normed), rotation)
        key, value = self.self_attention.keys_values(normed)
        fresh = (rotate(key, rotation), value)
        seen = fresh
        if past is not None:
            seen = (torch.cat([past[0], fresh[0]], 2), torch.cat([past[1], fresh[1]], 2))
        hidden = hidden + gate_a * self.self_attention.attend(query, seen, mask)
        if context is not None:
            query = self.cross_attention.queries(self.cross_norm(hidden))
            key, value = self.cross_attention.keys_values(context)
            if places is not None:
                query, key = partly_placed(query, key, rotation, places)
            hidden = hidden + self.cross_attention.attend(query, (key, value))
        normed = F.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale_f) + shift_f
        return hidden + gate_f * self.feed_forward(normed), fresh


class VideoDiT(nn.Module):
    """Velocity network over latents [B, C, T, H, W]."""

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        self.config = config
        dim, patch = config.dim, config.patch
        cells = patch[0] * patch[1] * patch[2]
        self.embed_patch = nn.Linear(cells * (config.channels + config.features), dim)
        self.time = nn.Sequential(FourierFeatures(dim), nn.Linear(dim, dim), nn.SiLU())
        self.time_out = nn.Linear(dim, dim)
        if config.vocabulary:
            self.embed_words = nn.Embedding(config.vocabulary, dim)
        if config.context_dim:
            self.embed_context = nn.Linear(config.context_dim, dim)
        self.layers = nn.ModuleList(VideoLayer(config) for _ in range(config.depth))
        self.final_modulation = nn.Linear(dim, 2 * dim)
        self.to_patch = nn.Linear(dim, cells * config.channels)
        for layer in (self.final_modulation, self.to_patch):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    # -- parts --------------------------------------------------------------------------------

    def grid(self, latents: Tensor) -> Grid:
        """Tokens along each axis.

        Raises:
            ValueError: a size that the patch does not divide.
        """
        shape, patch = latents.shape[2:], self.config.patch
        if any(size % step for size, step in zip(shape, patch, strict=True)):
            raise ValueError(f"latents of {tuple(shape)} do not divide into patches of {patch}")
        t, h, w = (size // step for size, step in zip(shape, patch, strict=True))
        return t, h, w

    def embed(self, latents: Tensor, features: Tensor | None = None) -> Tensor:
        """[B, C, T, H, W] and features [B, L, T, H, W] -> tokens [B, N, dim]."""
        given = latents if features is None else torch.cat([latents, features], dim=1)
        return self.embed_patch(to_patches(given, self.config.patch))

    def embed_time(self, t: Tensor) -> Tensor:
        """t [B] or [B, S] in 0..1 -> [B, 1 or S, dim]."""
        times = t[:, None] if t.dim() == 1 else t
        return self.time_out(self.time(times.reshape(-1))).unflatten(0, times.shape)

    def context(self, words: Tensor | None, plan: Tensor | None = None) -> Tensor | None:
        """Word ids [B, n] and plan tokens [B, m, context_dim] -> context [B, n + m, dim]."""
        parts = []
        if words is not None and self.config.vocabulary:
            parts.append(self.embed_words(words))
        if plan is not None and self.config.context_dim:
            parts.append(self.embed_context(plan))
        return torch.cat(parts, dim=1) if parts else None

    def transform(
        self,
        tokens: Tensor,
        time: Tensor,
        rotation: Rotation,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        past: Sequence[KeysValues] | None = None,
        places: Rotation | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """All layers. time [B, 1 or N, dim]; mask bool [N, M + N] with the past's M tokens first;
        places: where the last tokens of the context stand, if anywhere.

        Returns hidden [B, N, dim] and each layer's fresh keys (rotated) and values.
        """
        fresh = []
        for index, layer in enumerate(self.layers):
            before = past[index] if past is not None else None
            tokens, keys_values = layer(tokens, time, rotation, context, mask, before, places)
            fresh.append(keys_values)
        return tokens, fresh

    def project(self, hidden: Tensor, time: Tensor, grid: Grid) -> Tensor:
        """Tokens [B, N, dim] of one grid -> velocity [B, C, T, H, W]."""
        shift, scale = self.final_modulation(time).chunk(2, -1)
        normed = F.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale) + shift
        return from_patches(self.to_patch(normed), grid, self.config.patch)

    # -- whole passes -------------------------------------------------------------------------

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        words: Tensor | None = None,
        plan: Tensor | None = None,
        sources: Sequence[Tensor] = (),
        segments: Sequence[float] = (),
    ) -> Tensor:
        """Velocity of latents [B, C, T, H, W] at t [B], all tokens seeing all.

        plan: context tokens [B, m, context_dim]; with a context_grid, m is its size and each token
        is looked for around its own place: noise alone does not tell a token where it stands.
        sources: clean latents [B, C, t, h, w] packed before the target, each in its own segment of
        `segments`; the target is segment 0. Clean tokens hear the same global time.
        """
        grids = [self.grid(each) for each in (*sources, latents)]
        tokens = torch.cat([self.embed(each) for each in (*sources, latents)], dim=1)
        rotation = joined(
            [
                rotation_of(self.config, grid_positions(grid).to(latents), segment)
                for grid, segment in zip(grids, (*segments, 0.0), strict=True)
            ]
        )
        time = self.embed_time(t)
        places = None
        if plan is not None and any(self.config.context_grid):
            positions = spread_positions(self.config.context_grid, grids[-1]).to(latents)
            places = rotation_of(self.config, positions)
        context = self.context(words, plan)
        hidden, _ = self.transform(tokens, time, rotation, context, places=places)
        t_grid, h_grid, w_grid = grids[-1]
        return self.project(hidden[:, -t_grid * h_grid * w_grid :], time, grids[-1])


def to_patches(latents: Tensor, patch: Grid) -> Tensor:
    """[B, C, T, H, W] -> [B, tokens, C * patch cells]."""
    batch, channels, frames, rows, columns = latents.shape
    p, q, r = patch
    split = latents.reshape(batch, channels, frames // p, p, rows // q, q, columns // r, r)
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(
        batch, (frames // p) * (rows // q) * (columns // r), channels * p * q * r
    )


def from_patches(tokens: Tensor, grid: Grid, patch: Grid) -> Tensor:
    """Undoes `to_patches`."""
    (t, h, w), (p, q, r) = grid, patch
    split = tokens.reshape(len(tokens), t, h, w, -1, p, q, r).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return split.reshape(len(tokens), -1, t * p, h * q, w * r)
