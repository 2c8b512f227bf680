"""One transformer layer: self-attention, cross-attention to text, SwiGLU feed-forward.

Names of modules and parameters are stable-audio-tools' own, so its checkpoints load as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.config import DiTConfig
from lmdm.dit.rotary import Rotation, rotate

KeysValues = tuple[Tensor, Tensor]  # each [B, heads, tokens, head_dim]


class Past(NamedTuple):
    """Cached keys and values [B, heads, M + room, head_dim]; the last `room` slots are scratch."""

    keys: Tensor
    values: Tensor
    room: int

    def followed_by(self, key: Tensor, value: Tensor) -> KeysValues:
        """The M cached tokens, then these. Room, if there is any, is for just so many tokens."""
        if self.room and not torch.is_grad_enabled():
            self.keys[:, :, -self.room :] = key
            self.values[:, :, -self.room :] = value
            return self.keys, self.values
        cached = self.keys.shape[2] - self.room
        return (
            torch.cat([self.keys[:, :, :cached], key], dim=2),
            torch.cat([self.values[:, :, :cached], value], dim=2),
        )


class LayerNorm(nn.Module):
    """LayerNorm with a learnt gain `gamma` and a constant zero `beta`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.beta: Tensor
        self.gamma = nn.Parameter(torch.ones(dim))
        self.register_buffer("beta", torch.zeros(dim))

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return F.layer_norm(hidden, hidden.shape[-1:], self.gamma, self.beta)


def split_heads(tokens: Tensor, head_dim: int) -> Tensor:
    """[B, N, heads * head_dim] -> [B, heads, N, head_dim]."""
    batch, count, _ = tokens.shape
    return tokens.view(batch, count, -1, head_dim).transpose(1, 2)


def merge_heads(tokens: Tensor) -> Tensor:
    """[B, heads, N, head_dim] -> [B, N, heads * head_dim]."""
    batch, heads, count, head_dim = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, count, heads * head_dim)


class SelfAttention(nn.Module):
    """Fused qkv, optional per-head QK-LayerNorm, half-rotary RoPE."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.to_qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.to_out = nn.Linear(config.dim, config.dim, bias=False)
        self.q_norm = nn.LayerNorm(config.head_dim, eps=1e-6) if config.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(config.head_dim, eps=1e-6) if config.qk_norm else nn.Identity()
        nn.init.zeros_(self.to_out.weight)

    def forward(
        self, hidden: Tensor, rotation: Rotation, mask: Tensor | None, past: Past | None
    ) -> tuple[Tensor, KeysValues]:
        """Attend to `past` keys, then to the tokens themselves; also returns fresh keys, values."""
        query, key, value = (
            split_heads(part, self.head_dim) for part in self.to_qkv(hidden).chunk(3, dim=-1)
        )
        query = rotate(self.q_norm(query), rotation)
        key = rotate(self.k_norm(key), rotation)
        fresh = (key, value)
        if past is not None:
            key, value = past.followed_by(key, value)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.to_out(merge_heads(attended)), fresh


class CrossAttention(nn.Module):
    """Audio tokens read text tokens. Keys and values depend on the prompt alone."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.groups = config.dim // config.kv_dim  # query heads per key head
        self.to_q = nn.Linear(config.dim, config.dim, bias=False)
        self.to_kv = nn.Linear(config.kv_dim, 2 * config.kv_dim, bias=False)
        self.to_out = nn.Linear(config.dim, config.dim, bias=False)
        self.q_norm = nn.LayerNorm(config.head_dim, eps=1e-6) if config.qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(config.head_dim, eps=1e-6) if config.qk_norm else nn.Identity()
        nn.init.zeros_(self.to_out.weight)

    def keys_values(self, text: Tensor) -> KeysValues:
        """Projected text tokens [B, N, kv_dim] -> keys and values for every query head."""
        key, value = (split_heads(part, self.head_dim) for part in self.to_kv(text).chunk(2, -1))
        key = self.k_norm(key)
        if self.groups > 1:
            key = key.repeat_interleave(self.groups, dim=1)
            value = value.repeat_interleave(self.groups, dim=1)
        return key, value

    def forward(self, hidden: Tensor, text: KeysValues) -> Tensor:
        """[B, n, dim] -> [B, n, dim]."""
        if text[0].shape[2] == 1 and not torch.is_grad_enabled():
            # One key draws all attention whatever the query is. (With gradients the long way, so
            # that no parameter is left without one, which distributed training refuses.)
            return self.to_out(merge_heads(text[1]))
        query = self.q_norm(split_heads(self.to_q(hidden), self.head_dim))
        return self.to_out(merge_heads(F.scaled_dot_product_attention(query, *text)))


class GatedProjection(nn.Module):
    """The first half of SwiGLU: value * SiLU(gate) from one projection."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., inner]."""
        value, gate = self.proj(hidden).chunk(2, dim=-1)
        return value * F.silu(gate)


class FeedForward(nn.Module):
    """SwiGLU feed-forward network."""

    def __init__(self, dim: int, multiplier: int) -> None:
        super().__init__()
        output = nn.Linear(multiplier * dim, dim)
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
        self.ff = nn.Sequential(GatedProjection(dim, multiplier * dim), nn.Identity(), output)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return self.ff(hidden)


class TransformerLayer(nn.Module):
    """x + SA(LN x); x + CA(LN x, text); x + FF(LN x)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.pre_norm = LayerNorm(config.dim)
        self.self_attn = SelfAttention(config)
        self.cross_attend_norm = LayerNorm(config.dim)
        self.cross_attn = CrossAttention(config)
        self.ff_norm = LayerNorm(config.dim)
        self.ff = FeedForward(config.dim, config.feedforward_multiplier)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        mask: Tensor | None,
        past: Past | None,
        text: KeysValues | None,
    ) -> tuple[Tensor, KeysValues]:
        """hidden [B, n, dim] -> hidden and this layer's fresh self-attention keys and values."""
        attended, fresh = self.self_attn(self.pre_norm(hidden), rotation, mask, past)
        hidden = hidden + attended
        if text is not None:
            hidden = hidden + self.cross_attn(self.cross_attend_norm(hidden), text)
        return hidden + self.ff(self.ff_norm(hidden)), fresh
