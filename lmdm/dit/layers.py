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
    """LayerNorm with a learnt gain `gamma` and a constant `beta`, zero unless loaded otherwise."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.beta: Tensor
        self.gamma = nn.Parameter(torch.ones(dim))
        self.register_buffer("beta", torch.zeros(dim))

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return F.layer_norm(hidden, hidden.shape[-1:], self.gamma, self.beta, self.eps)


class DynamicTanh(nn.Module):
    """gamma tanh(alpha x) + beta, in place of a norm (arXiv 2503.10622)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 10.0))
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return torch.addcmul(self.beta, self.gamma, torch.tanh(self.alpha * hidden))


class UnitLength(nn.Module):
    """Each vector divided by its length: cosine attention."""

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return F.normalize(hidden, dim=-1)


class LayerScale(nn.Module):
    """A learnt factor a channel, small at first (arXiv 2103.17239)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), 1e-5))

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return hidden * self.scale


def head_norm(config: DiTConfig) -> nn.Module:
    """The norm of queries or keys, a head at a time."""
    if config.qk_norm == "ln":
        return nn.LayerNorm(config.head_dim, eps=1e-6)
    if config.qk_norm == "dyt":
        return DynamicTanh(config.head_dim)
    return UnitLength() if config.qk_norm == "l2" else nn.Identity()


def token_norm(config: DiTConfig) -> nn.Module:
    """The norm of tokens before attention and feed-forward."""
    return (
        LayerNorm(config.dim, config.norm_eps)
        if config.norm == "layer"
        else DynamicTanh(config.dim)
    )


def last_tokens(
    query: Tensor, mask: Tensor | None, wanted: int | None
) -> tuple[Tensor, Tensor | None]:
    """The last `wanted` queries of [B, heads, N, head_dim], their rows of the mask; None: all."""
    if wanted is None:
        return query, mask
    first = query.shape[2] - wanted
    return query[:, :, first:], None if mask is None else mask[first:]


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
        self.q_norm, self.k_norm = head_norm(config), head_norm(config)
        nn.init.zeros_(self.to_out.weight)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        wanted: int | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """Attend to `past` keys, then to the tokens themselves; also returns fresh keys, values.

        wanted: only so many tokens, the last, ask; None: all.
        """
        query, key, value = (
            split_heads(part, self.head_dim) for part in self.to_qkv(hidden).chunk(3, dim=-1)
        )
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        fresh = (key, value)
        if past is not None:
            key, value = past.followed_by(key, value)
        query, mask = last_tokens(query, mask, wanted)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.to_out(merge_heads(attended)), fresh


class CrossAttention(nn.Module):
    """Audio tokens read text tokens. Keys and values depend on the prompt alone."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.groups = config.heads // config.cross_heads  # query heads per key head
        self.to_q = nn.Linear(config.dim, config.dim, bias=False)
        self.to_kv = nn.Linear(config.kv_dim, 2 * config.cross_heads * config.head_dim, bias=False)
        self.to_out = nn.Linear(config.dim, config.dim, bias=False)
        self.q_norm, self.k_norm = head_norm(config), head_norm(config)
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

    def __init__(self, dim: int, multiplier: float, bias: bool = True) -> None:
        super().__init__()
        inner = int(multiplier * dim)
        output = nn.Linear(inner, dim, bias=bias)
        nn.init.zeros_(output.weight)
        if bias:
            nn.init.zeros_(output.bias)
        self.ff = nn.Sequential(GatedProjection(dim, inner), nn.Identity(), output)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., dim]."""
        return self.ff(hidden)


class Modulation(NamedTuple):
    """adaLN's shifts, scales and gates [B, 1, dim] of self-attention and feed-forward."""

    attention_scale: Tensor
    attention_shift: Tensor
    attention_gate: Tensor
    ff_scale: Tensor
    ff_shift: Tensor
    ff_gate: Tensor


class TransformerLayer(nn.Module):
    """x + SA(LN x); x + CA(LN x, text); x + FF(LN x)."""

    def __init__(self, config: DiTConfig, reads_text: bool = True) -> None:
        super().__init__()
        scaled = config.layer_scale
        self.pre_norm = token_norm(config)
        self.self_attn = SelfAttention(config)
        self.self_attn_scale = LayerScale(config.dim) if scaled else nn.Identity()
        self.cross_attn: CrossAttention | None = None
        if reads_text:
            self.cross_attend_norm = token_norm(config)
            self.cross_attn = CrossAttention(config)
            self.cross_attn_scale = LayerScale(config.dim) if scaled else nn.Identity()
        self.ff_norm = token_norm(config)
        self.ff = FeedForward(config.dim, config.feedforward_multiplier, config.feedforward_bias)
        self.ff_scale = LayerScale(config.dim) if scaled else nn.Identity()
        if config.modulated:
            self.to_scale_shift_gate = nn.Parameter(torch.randn(6 * config.dim) / config.dim**0.5)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        text: KeysValues | None,
        modulation: Tensor | None = None,
        wanted: int | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """hidden [B, n, dim] -> hidden and this layer's fresh self-attention keys and values.

        modulation [B, 6 dim] is adaLN's, for layers that have it. wanted: of the last tokens alone
        hidden is wanted, [B, wanted, dim]; of the others keys and values do; None: of all.
        """
        if modulation is not None:
            return self._modulated(hidden, rotation, mask, past, text, modulation)
        attended, fresh = self.self_attn(self.pre_norm(hidden), rotation, mask, past, wanted)
        if wanted is not None:
            hidden = hidden[:, hidden.shape[1] - wanted :]
            if wanted == 0:
                return hidden, fresh
        hidden = hidden + self.self_attn_scale(attended)
        hidden = self._read(hidden, text)
        return hidden + self.ff_scale(self.ff(self.ff_norm(hidden))), fresh

    def _read(self, hidden: Tensor, text: KeysValues | None) -> Tensor:
        if text is None or self.cross_attn is None:
            return hidden
        return hidden + self.cross_attn_scale(self.cross_attn(self.cross_attend_norm(hidden), text))

    def _modulated(
        self,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        text: KeysValues | None,
        modulation: Tensor,
    ) -> tuple[Tensor, KeysValues]:
        parts = (self.to_scale_shift_gate + modulation).unsqueeze(1).chunk(6, dim=-1)
        m = Modulation(*parts)
        normal = torch.addcmul(m.attention_shift, self.pre_norm(hidden), 1 + m.attention_scale)
        attended, fresh = self.self_attn(normal, rotation, mask, past)
        hidden = hidden + self.self_attn_scale(attended * torch.sigmoid(1 - m.attention_gate))
        hidden = self._read(hidden, text)
        normal = torch.addcmul(m.ff_shift, self.ff_norm(hidden), 1 + m.ff_scale)
        return hidden + self.ff_scale(self.ff(normal) * torch.sigmoid(1 - m.ff_gate)), fresh
