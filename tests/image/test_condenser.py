from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.image.condenser import CondenserBlock, DetailCondenser


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def read(block: CondenserBlock, queries: Tensor, tap: Tensor) -> Tensor:
    """The block's equation, by torch's own multi-head attention."""
    attention = block.read
    dim, heads = queries.shape[-1], queries.shape[-1] // attention.head_dim
    key, value = attention.to_kv.weight.chunk(2)
    biases = torch.cat([attention.to_q.bias, attention.to_kv.bias])
    memory = block.tap_norm(tap).transpose(0, 1)
    attended, _ = F.multi_head_attention_forward(
        block.query_norm(queries).transpose(0, 1), memory, memory, dim, heads, None, biases, None,
        None, False, 0.0, attention.to_out.weight, attention.to_out.bias,
        use_separate_proj_weight=True, q_proj_weight=attention.to_q.weight, k_proj_weight=key,
        v_proj_weight=value,
    )  # fmt: skip
    queries = queries + attended.transpose(0, 1)
    return queries + block.feedforward(block.feedforward_norm(queries))


def test_a_block_is_the_papers_equation() -> None:
    torch.manual_seed(0)
    block = CondenserBlock(16, 10, heads=4, multiplier=2, self_attention=False, gate=False)
    queries, tap = torch.randn(3, 5, 16), torch.randn(3, 7, 10)
    assert torch.allclose(block(queries, tap), read(block, queries, tap), atol=1e-5)


def test_taps_are_read_one_after_another_and_normalised_without_affine() -> None:
    torch.manual_seed(0)
    condenser = DetailCondenser(4, 16, (10, 12), heads=2)
    taps = (torch.randn(2, 9, 10), torch.randn(2, 4, 12))
    queries = condenser.queries.expand(2, -1, -1)
    for block, tap in zip(condenser.blocks, taps, strict=True):
        queries = read(block, queries, tap)
    found = condenser(taps, 2)
    assert torch.allclose(found, F.layer_norm(queries, (16,), eps=1e-6), atol=1e-5)
    assert torch.allclose(found.var(-1, correction=0), torch.ones(2, 4), atol=1e-3)


def test_pictures_have_their_own_queries_and_slots_their_own_place() -> None:
    torch.manual_seed(0)
    condenser = DetailCondenser(3, 8, (8,), heads=2, self_attention=True)
    tap = torch.randn(2, 5, 8)
    found = condenser((tap,), 2)
    assert not torch.allclose(found[0], found[1]) and not torch.allclose(found[0, 0], found[0, 1])
    assert torch.allclose(condenser((tap.flip(0),), 2), found.flip(0), atol=1e-6)
    order = torch.randperm(5)  # where in the picture a detail lies is in the features, not here
    assert torch.allclose(condenser((tap[:, order],), 2), found, atol=1e-6)


def test_a_gate_begins_shut() -> None:
    torch.manual_seed(0)
    gated = DetailCondenser(3, 8, (8, 8), heads=2, gate=True)
    one, two = torch.randn(2, 1, 5, 8)
    assert torch.equal(gated((one, one), 1), gated((two, two), 1))
    gated((one, one), 1).square().mul(torch.randn(8)).sum().backward()
    assert all(block.gate.grad.abs() > 0 for block in gated.blocks)


def test_without_taps_queries_are_the_same_for_every_picture() -> None:
    found = DetailCondenser(3, 8, (), heads=2)((), 2)
    assert torch.equal(found[0], found[1])


def test_reading_one_layer_thrice_has_as_many_parameters_as_reading_three() -> None:
    assert parameters(DetailCondenser(8, 16, (16, 16, 16), 2)) == parameters(
        DetailCondenser(8, 16, (16,) * 3, 2)
    )
