"""A transformer whose weights lie in memory as oneDNN wants them: the same function, sooner.

A pass of few tokens does little but read weights, and oneDNN's own layout is read two to three
times as fast as rows are (Zen 5, one thread, float32, 10 tokens, 320 -> 2560: 0.15 ms, not 0.38).
What follows a matrix (SiLU, a product, the residual sum) is done while its output is at hand.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.dit.layers import (
    CrossAttention,
    FeedForward,
    GatedProjection,
    KeysValues,
    Past,
    SelfAttention,
    TransformerLayer,
    last_tokens,
    merge_heads,
    split_heads,
)
from lmdm.dit.model import DiT
from lmdm.dit.rotary import Rotation, rotate


def packable(dit: DiT) -> bool:
    """Whether this torch can pack this network: float32, or bfloat16 where the CPU computes it."""
    weight = dit.transformer.project_in.weight
    known = weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    return (
        known
        and weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def packed(dit: DiT, tokens: int, linear: type[PackedLinear] | None = None) -> DiT:
    """A twin of the network, for inference, with layers packed for passes of so many tokens.

    Other counts work as well. Tokens count over the whole batch. The twin shares with `dit` what is
    not packed; no gradient reaches the packed weights, and it does not see what becomes of the
    original's later. Where nothing can be packed, or all is already, the twin is `dit` itself.

    linear: how matrices are held; `QuantizedLinear` in 8 bits.
    """
    c = dit.config
    done = any(isinstance(layer, PackedLayer) for layer in dit.transformer.layers)
    plain = not (c.modulated or c.layer_scale or c.differential or c.conformer)
    if done or not packable(dit) or not plain:
        return dit
    layers = []
    for layer in dit.transformer.layers:
        assert isinstance(layer, TransformerLayer)
        layers.append(PackedLayer(layer, tokens, linear or PackedLinear))
    shared: dict[int, object] = {id(each): each for each in (*dit.parameters(), *dit.buffers())}
    shared[id(dit.transformer.layers)] = nn.ModuleList(layers)
    return copy.deepcopy(dit, shared).eval()


class PackedLinear(nn.Module):
    """nn.Linear with packed weights, and what may follow it in the same operation."""

    def __init__(self, weight: Tensor, bias: Tensor | None, tokens: int) -> None:
        super().__init__()
        with torch.no_grad():
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), tokens)
        self.bias = None if bias is None else bias.detach()

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return torch.ops.mkldnn._linear_pointwise(hidden, self.weight, self.bias, "none", [], "")

    def silu(self, hidden: Tensor) -> Tensor:
        """SiLU of the output."""
        return torch.ops.mkldnn._linear_pointwise(hidden, self.weight, self.bias, "swish", [], "")

    def times(self, hidden: Tensor, factor: Tensor) -> Tensor:
        """The output times `factor` [..., outputs]."""
        return torch.ops.mkldnn._linear_pointwise.binary(
            hidden, factor, self.weight, self.bias, "mul"
        )

    def plus(self, hidden: Tensor, term: Tensor) -> Tensor:
        """The output plus `term` [..., outputs]."""
        return torch.ops.mkldnn._linear_pointwise.binary(
            hidden, term, self.weight, self.bias, "add"
        )


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention [B, heads, n, head_dim].

    In bfloat16 two products and a softmax: for a few hundred keys they take a third of what torch's
    flash kernel for CPUs takes (Zen 5, 49 queries, 241 keys: 0.23 ms, not 0.62).
    """
    if query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if mask is not None:
        scores.masked_fill_(~mask, -torch.inf)
    return torch.matmul(scores.softmax(dim=-1), value)


class PackedSelfAttention(nn.Module):
    """`SelfAttention` and the residual sum."""

    def __init__(self, attention: SelfAttention, tokens: int, linear: type[PackedLinear]) -> None:
        super().__init__()
        self.head_dim = attention.head_dim
        self.to_qkv = linear(attention.to_qkv.weight, None, tokens)
        self.to_out = linear(attention.to_out.weight, None, tokens)
        self.q_norm, self.k_norm = attention.q_norm, attention.k_norm

    def forward(
        self,
        normal: Tensor,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        wanted: int | None,
    ) -> tuple[Tensor, KeysValues]:
        """The norm of hidden, and hidden [B, n, dim] -> hidden and fresh keys and values."""
        qkv = self.to_qkv(normal)
        query, key, value = (split_heads(part, self.head_dim) for part in qkv.chunk(3, dim=-1))
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        fresh = (key, value)
        if past is not None:
            key, value = past.followed_by(key, value)
        if wanted == 0:
            return hidden[:, :0], fresh
        if wanted is not None:
            query, mask = last_tokens(query, mask, wanted)
            hidden = hidden[:, hidden.shape[1] - wanted :].contiguous()
        return self.to_out.plus(merge_heads(attention(query, key, value, mask)), hidden), fresh


class PackedCrossAttention(nn.Module):
    """`CrossAttention` and the residual sum."""

    def __init__(self, attention: CrossAttention, tokens: int, linear: type[PackedLinear]) -> None:
        super().__init__()
        self.head_dim = attention.head_dim
        self.to_q = linear(attention.to_q.weight, None, tokens)
        self.to_out = linear(attention.to_out.weight, None, tokens)
        self.q_norm = attention.q_norm
        self._whole = attention  # keys and values of the text, once a prompt

    def keys_values(self, text: Tensor) -> KeysValues:
        """Projected text tokens [B, N, kv_dim] -> keys and values for every query head."""
        return self._whole.keys_values(text)

    def forward(self, normal: Tensor, hidden: Tensor, text: KeysValues) -> Tensor:
        """The norm of hidden, and hidden [B, n, dim] -> hidden."""
        if text[0].shape[2] == 1:  # one key draws all attention whatever the query is
            return hidden + self.to_out(merge_heads(text[1]))
        query = self.q_norm(split_heads(self.to_q(normal), self.head_dim))
        return self.to_out.plus(merge_heads(attention(query, *text)), hidden)


class PackedFeedForward(nn.Module):
    """SwiGLU and the residual sum in three operations: value * SiLU(gate) needs no pass."""

    def __init__(self, ff: FeedForward, tokens: int, linear: type[PackedLinear]) -> None:
        super().__init__()
        projection, _, output = ff.ff
        assert isinstance(projection, GatedProjection)
        assert isinstance(output, nn.Linear)
        value, gate = projection.proj.weight.chunk(2)
        value_bias, gate_bias = projection.proj.bias.chunk(2)
        self.value = linear(value, value_bias, tokens)
        self.gate = linear(gate, gate_bias, tokens)
        self.output = linear(output.weight, output.bias, tokens)

    def forward(self, normal: Tensor, hidden: Tensor) -> Tensor:
        """The norm of hidden, and hidden [..., dim] -> hidden."""
        return self.output.plus(self.value.times(normal, self.gate.silu(normal)), hidden)


class PackedLayer(nn.Module):
    """`TransformerLayer` without layer scales and adaLN."""

    def __init__(self, layer: TransformerLayer, tokens: int, linear: type[PackedLinear]) -> None:
        super().__init__()
        self.pre_norm, self.ff_norm = layer.pre_norm, layer.ff_norm
        self.self_attn = PackedSelfAttention(layer.self_attn, tokens, linear)
        self.cross_attn: PackedCrossAttention | None = None
        if layer.cross_attn is not None:
            self.cross_attend_norm = layer.cross_attend_norm
            self.cross_attn = PackedCrossAttention(layer.cross_attn, tokens, linear)
        self.ff = PackedFeedForward(layer.ff, tokens, linear)

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation | None,
        mask: Tensor | None,
        past: Past | None,
        text: KeysValues | None,
        modulation: None = None,
        wanted: int | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """As `TransformerLayer`."""
        assert modulation is None
        normal = self.pre_norm(hidden)
        hidden, fresh = self.self_attn(normal, hidden, rotation, mask, past, wanted)
        if wanted == 0:
            return hidden, fresh
        if text is not None and self.cross_attn is not None:
            hidden = self.cross_attn(self.cross_attend_norm(hidden), hidden, text)
        return self.ff(self.ff_norm(hidden), hidden), fresh
