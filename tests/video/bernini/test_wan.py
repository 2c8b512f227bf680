"""The renderer in Wan's layout, with random weights of the real class."""

from __future__ import annotations

import pytest
import torch

from lmdm.video.bernini.wan import WanRenderer, as_renderer, context_of
from tests.video.tiny_pipelines import wan_transformer


@pytest.fixture(scope="module")
def wan():
    return wan_transformer()


@pytest.fixture(scope="module")
def renderer(wan) -> WanRenderer:
    return as_renderer(wan)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_saved_wan_folder_loads_strictly(wan, tmp_path):
    wan.save_pretrained(tmp_path / "transformer", safe_serialization=True)
    loaded, info = WanRenderer.from_pretrained(
        tmp_path / "transformer", output_loading_info=True, use_safetensors=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert loaded.state_dict().keys() == wan.state_dict().keys()
    for name, tensor in wan.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_without_sources_it_is_wan(wan, renderer):
    x, t, context = normal(2, 16, 3, 4, 6), torch.tensor([700.0, 300.0]), normal(2, 5, 32, seed=1)
    with torch.no_grad():
        expected = wan(x, t, context, return_dict=False)[0]
        got = renderer(x, t, context)[0]
    assert torch.equal(got, expected)


def test_the_segments_phase_is_a_complex_turn(renderer):
    x = normal(1, 16, 2, 4, 4)
    cos, sin = renderer.segment_rope(x, 0.0)
    tagged_cos, tagged_sin = renderer.segment_rope(x, 1.5)
    size = cos.shape[-1]
    omega = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    turn = torch.polar(torch.ones(size // 2, dtype=torch.float64), 1.5 * omega)
    expected = torch.complex(cos.double(), sin.double())[..., ::2] * turn
    got = torch.complex(tagged_cos.double(), tagged_sin.double())
    assert (got[..., ::2] - expected).abs().max() < 1e-6
    assert torch.equal(tagged_cos[..., ::2], tagged_cos[..., 1::2])  # pairs lie side by side


def test_sources_are_heard_and_told_apart(renderer):
    x, t, context = normal(1, 16, 2, 4, 4), torch.tensor([500.0]), normal(1, 5, 32, seed=1)
    a, b = normal(1, 16, 1, 4, 4, seed=2), normal(1, 16, 3, 2, 4, seed=3)
    with torch.no_grad():
        alone = renderer(x, t, context)[0]
        both = renderer(x, t, context, (a, b), (1.0, 2.0))[0]
        swapped = renderer(x, t, context, (a, b), (2.0, 1.0))[0]
        moved = renderer(x, t, context, (b, a), (2.0, 1.0))[0]
    assert both.shape == x.shape
    assert (both - alone).abs().max() > 1e-4
    assert (both - swapped).abs().max() > 1e-5  # the id tells
    torch.testing.assert_close(both, moved, rtol=1e-4, atol=1e-5)  # the order does not


def test_the_text_budget_says_what_is_cut():
    """§10: the cap cuts from the end, where the plan's target rows stand."""
    text, plan = normal(500, 32), normal(64, 32, seed=1)
    kept, budget = context_of(text, plan)
    assert kept.shape == (512, 32)
    assert (budget.text_cut, budget.plan_cut) == (52, 0)
    assert torch.equal(kept[448:], plan)
    upstream, budget = context_of(text, plan, keep_plan=False)
    assert (budget.text_cut, budget.plan_cut) == (0, 52)
    assert torch.equal(upstream[500:], plan[:12])
    short, budget = context_of(text[:10], None)
    assert (budget.text, budget.plan, budget.text_cut) == (10, 0, 0)
    assert not short[10:].any()
