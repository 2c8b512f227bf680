"""Layers of checkpoints that add to the published ones: conformers, differential attention.

They read all tokens at once, so they play by the plain pass alone (outpainting), never against a
cache. Names of modules and parameters are stable-audio-tools' own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.config import DiTConfig
from lmdm.dit.layers import (
    CrossAttention,
    GatedProjection,
    KeysValues,
    LayerNorm,
    LayerScale,
    Past,
    SelfAttention,
    TransformerLayer,
    merge_heads,
    split_heads,
)
from lmdm.dit.rotary import Rotation, rotate

CONFORMER_TAPS = 17


class DifferentialSelfAttention(SelfAttention):
    """What one pair of queries and keys attends to, less what a second pair does."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__(config)
        self.to_qkv = nn.Linear(config.dim, 5 * config.dim, bias=False)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        wanted: int | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """[B, N, dim] -> [B, N, dim], and keys of both pairs [B, 2 heads, N, head_dim], values."""
        assert past is None and wanted is None
        parts = (split_heads(each, self.head_dim) for each in self.to_qkv(hidden).chunk(5, dim=-1))
        query, key, value, query_less, key_less = parts
        queries = self.q_norm(torch.cat([query, query_less], dim=1))
        keys = self.k_norm(torch.cat([key, key_less], dim=1))
        if rotation is not None:
            queries, keys = rotate(queries, rotation), rotate(keys, rotation)
        attended = _difference(queries, keys, value, mask)
        return self.to_out(merge_heads(attended)), (keys, value)


class DifferentialCrossAttention(CrossAttention):
    """The same, of text."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__(config)
        inner = config.cross_heads * config.head_dim
        self.to_q = nn.Linear(config.dim, 2 * config.dim, bias=False)
        self.to_kv = nn.Linear(config.kv_dim, 3 * inner, bias=False)

    def keys_values(self, text: Tensor) -> KeysValues:
        """[B, N, kv_dim] -> keys of both pairs [B, 2 heads, N, head_dim], and values."""
        parts = (split_heads(each, self.head_dim) for each in self.to_kv(text).chunk(3, dim=-1))
        key, key_less, value = (each.repeat_interleave(self.groups, dim=1) for each in parts)
        return self.k_norm(torch.cat([key, key_less], dim=1)), value

    def forward(self, hidden: Tensor, text: KeysValues) -> Tensor:
        """[B, n, dim] -> [B, n, dim]."""
        queries = self.q_norm(split_heads(self.to_q(hidden), self.head_dim))
        return self.to_out(merge_heads(_difference(queries, *text)))


def _difference(queries: Tensor, keys: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Queries and keys [B, 2 heads, n, head_dim], values [B, heads, n, head_dim] -> like values."""
    (query, query_less), (key, key_less) = queries.chunk(2, dim=1), keys.chunk(2, dim=1)
    more = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return more - F.scaled_dot_product_attention(query_less, key_less, value, attn_mask=mask)


class Conformer(nn.Module):
    """A gated convolution over neighbouring tokens (arXiv 2005.08100, LayerNorm for batch norm)."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        dim = config.dim
        self.in_norm = LayerNorm(dim, config.norm_eps)
        self.pointwise_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.glu = GatedProjection(dim, dim)
        self.depthwise_conv = nn.Conv1d(
            dim, dim, CONFORMER_TAPS, groups=dim, padding=CONFORMER_TAPS // 2, bias=False
        )
        self.mid_norm = LayerNorm(dim, config.norm_eps)
        self.pointwise_conv_2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, n, dim] -> [B, n, dim]."""
        gated = self.glu(_along(self.pointwise_conv, self.in_norm(hidden)))
        mixed = F.silu(self.mid_norm(_along(self.depthwise_conv, gated)))
        return _along(self.pointwise_conv_2, mixed)


def _along(convolution: nn.Conv1d, hidden: Tensor) -> Tensor:
    """A convolution over the tokens of [B, n, dim]."""
    return convolution(hidden.transpose(1, 2)).transpose(1, 2)


class VariantLayer(TransformerLayer):
    """`TransformerLayer` with differential attention, or a conformer before the feed-forward."""

    def __init__(self, config: DiTConfig, reads_text: bool = True) -> None:
        super().__init__(config, reads_text)
        if config.differential:
            self.self_attn = DifferentialSelfAttention(config)
            self.cross_attn = DifferentialCrossAttention(config) if reads_text else None
        self.conformer: Conformer | None = None
        if config.conformer:
            self.conformer = Conformer(config)
            self.conformer_scale = LayerScale(config.dim) if config.layer_scale else nn.Identity()

    def _read(self, hidden: Tensor, text: KeysValues | None) -> Tensor:
        hidden = super()._read(hidden, text)
        if self.conformer is None:
            return hidden
        return hidden + self.conformer_scale(self.conformer(hidden))
