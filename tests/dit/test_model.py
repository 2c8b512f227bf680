"""The backbone: Stable Audio's keys and sizes, its layer arithmetic, precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lmdm.dit.config import DiTConfig
from lmdm.dit.masks import encoder_decoder_mask
from lmdm.dit.model import DiT
from lmdm.dit.rotary import RotaryPositions, rotate
from lmdm.errors import InputError
from tests.laws.network import LOCAL, TEXT, random, small_dit

SMALL = DiTConfig(routed=False)
OPEN = DiTConfig(
    dim=1536, depth=24, heads=24, text_dim=768, project_text=False, global_dim=1536, qk_norm=False,
    routed=False,
)  # fmt: skip


def on_paper(config: DiTConfig) -> DiT:
    with torch.device("meta"):
        return DiT(config)


def test_small_has_the_published_tensors() -> None:
    state = on_paper(SMALL).state_dict()
    assert len(state) == 382
    shapes = {
        "timestep_features.weight": (128, 1),
        "to_timestep_embed.0.weight": (1024, 256),
        "to_timestep_embed.2.bias": (1024,),
        "to_cond_embed.0.weight": (1024, 768),
        "to_global_embed.2.weight": (1024, 1024),
        "preprocess_conv.weight": (64, 64, 1),
        "postprocess_conv.weight": (64, 64, 1),
        "transformer.project_in.weight": (1024, 64),
        "transformer.project_out.weight": (64, 1024),
        "transformer.rotary_pos_emb.inv_freq": (32,),
        "transformer.layers.15.pre_norm.gamma": (1024,),
        "transformer.layers.15.pre_norm.beta": (1024,),
        "transformer.layers.0.self_attn.to_qkv.weight": (3072, 1024),
        "transformer.layers.0.self_attn.q_norm.weight": (128,),
        "transformer.layers.0.self_attn.k_norm.bias": (128,),
        "transformer.layers.0.cross_attn.to_kv.weight": (2048, 1024),
        "transformer.layers.0.cross_attn.q_norm.weight": (128,),
        "transformer.layers.0.ff.ff.0.proj.weight": (8192, 1024),
        "transformer.layers.0.ff.ff.0.proj.bias": (8192,),
        "transformer.layers.0.ff.ff.2.weight": (1024, 4096),
        "transformer.layers.0.ff.ff.2.bias": (1024,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_sizes_are_the_published_ones() -> None:
    small, large = (
        sum(p.numel() for p in on_paper(config).parameters()) for config in (SMALL, OPEN)
    )
    assert small == pytest.approx(340.88e6, rel=2e-4)
    assert large == pytest.approx(1056.8e6, rel=2e-4)


def test_open_has_the_published_tensors() -> None:
    state = on_paper(OPEN).state_dict()
    assert len(state) == 374
    assert state["transformer.layers.0.self_attn.to_qkv.weight"].shape == (4608, 1536)
    assert state["transformer.layers.0.cross_attn.to_kv.weight"].shape == (1536, 768)
    assert state["transformer.layers.0.ff.ff.0.proj.weight"].shape == (12288, 1536)
    assert state["transformer.rotary_pos_emb.inv_freq"].shape == (16,)


@pytest.mark.parametrize(("local", "inputs"), [(0, 65), (65, 130)])
def test_context_stem_takes_mask_latents_and_local_channels(local: int, inputs: int) -> None:
    dit = on_paper(DiTConfig(depth=1, local_channels=local))
    assert dit.to_input_add_embed.weight.shape == (1024, inputs)
    assert dit.to_input_add_embed.bias is None


def test_stems_are_the_published_sums() -> None:
    """Context: B [1; x; local]. Target: A x + B [0; 0; local]."""
    dit = small_dit()
    latents, local = random(2, 6, 3, seed=1), random(2, LOCAL, 3, seed=2)
    mask = torch.ones(2, 1, 3, dtype=torch.float64)
    given = torch.cat([mask, latents, local], 1).transpose(1, 2)
    assert torch.equal(dit.embed_context(latents, local), dit.to_input_add_embed(given))
    stem = (latents + dit.preprocess_conv(latents)).transpose(1, 2)
    zeros = torch.cat([0 * mask, 0 * latents, local], 1).transpose(1, 2)
    expected = dit.transformer.project_in(stem) + dit.to_input_add_embed(zeros)
    assert (dit.embed_target(latents, local) - expected).abs().max() < 1e-13


def test_absent_local_conditions_are_zeros() -> None:
    dit, latents = small_dit(), random(1, 6, 3, seed=1)
    zeros = torch.zeros(1, LOCAL, 3, dtype=torch.float64)
    assert torch.equal(dit.embed_context(latents, None), dit.embed_context(latents, zeros))
    assert torch.equal(dit.embed_target(latents, None), dit.embed_target(latents, zeros))


def test_one_layer_is_the_published_arithmetic() -> None:
    """Fused q, k, v in this order; QK-LayerNorm; half-rotary RoPE; value x SiLU(gate)."""
    dit = small_dit()
    layer = dit.transformer.layers[0]
    hidden, text = random(1, 5, 64, seed=1), random(1, 4, 64, seed=2)
    rotation = dit.rotation(torch.arange(5))

    def norm(x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (64,), gamma, None, 1e-5)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.view(1, -1, 2, 32).transpose(1, 2)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        weights = (q @ k.transpose(-1, -2) / 32**0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(1, -1, 64)

    own = layer.self_attn
    query, key, value = F.linear(norm(hidden, layer.pre_norm.gamma), own.to_qkv.weight).split(64, 2)
    query, key = own.q_norm(heads(query)), own.k_norm(heads(key))
    turned = []
    for vectors in (query, key):
        first, second, cos, sin = (
            vectors[..., :16], vectors[..., 16:32], rotation.cos[:, :16], rotation.sin[:, :16],
        )  # fmt: skip
        turned.append(torch.cat([first * cos - second * sin, second * cos + first * sin], -1))
    expected = hidden + own.to_out(attend(*turned, heads(value)))
    cross = layer.cross_attn
    query = cross.q_norm(heads(cross.to_q(norm(expected, layer.cross_attend_norm.gamma))))
    key, value = cross.to_kv(text).split(64, 2)
    expected = expected + cross.to_out(attend(query, cross.k_norm(heads(key)), heads(value)))
    projection, output = layer.ff.ff[0].proj, layer.ff.ff[2]
    value, gate = projection(norm(expected, layer.ff_norm.gamma)).chunk(2, -1)
    expected = expected + output(value * F.silu(gate))

    result, _ = layer(hidden, rotation, None, None, cross.keys_values(text))
    assert (result - expected).abs().max() < 1e-12


def test_one_token_of_text_takes_the_short_way_to_the_same_result() -> None:
    dit = small_dit().requires_grad_(True)
    hidden, text = random(2, 5, 64, seed=1), random(2, 1, TEXT, seed=2)
    long, _ = dit.transform(hidden, torch.arange(5), dit.text_keys_values(text))
    with torch.no_grad():
        short, _ = dit.transform(hidden, torch.arange(5), dit.text_keys_values(text))
    assert (long - short).abs().max() < 1e-12


def test_zero_text_is_no_text() -> None:
    dit, hidden = small_dit(), random(1, 5, 64, seed=1)
    zeros = torch.zeros(1, 3, TEXT, dtype=torch.float64)
    null, _ = dit.transform(hidden, torch.arange(5), dit.text_keys_values(zeros))
    none, _ = dit.transform(hidden, torch.arange(5))
    assert (null - none).abs().max() < 1e-13


def test_copies_of_a_target_amortise_its_context() -> None:
    """Several noisy copies after one context give what each gives alone."""
    dit = small_dit()
    context = dit.embed_context(random(1, 6, 6, seed=1), None)
    copies = [
        torch.cat(
            [
                dit.embed_target(random(1, 6, 3, seed=seed), None),
                dit.embed_global(torch.tensor([0.1 * seed], dtype=torch.float64), None),
            ],
            dim=1,
        )
        for seed in (2, 3)
    ]
    own = torch.tensor([7, 8, 9, 0])
    together, _ = dit.transform(
        torch.cat([context, *copies], dim=1),
        torch.cat([torch.arange(1, 7), own, own]),
        mask=encoder_decoder_mask(6, 3, copies=2),
    )
    for index, copy in enumerate(copies):
        alone, _ = dit.transform(
            torch.cat([context, copy], dim=1),
            torch.cat([torch.arange(1, 7), own]),
            mask=encoder_decoder_mask(6, 3),
        )
        part = together[:, 6 + 4 * index : 10 + 4 * index]
        assert (part - alone[:, 6:]).abs().max() < 1e-12


def test_rotations_add_and_leave_the_second_half_alone() -> None:
    rotary = RotaryPositions(16, 10000.0).double()
    vectors = random(2, 5, 32, seed=1)
    twice = rotate(rotate(vectors, rotary(torch.arange(5))), rotary(torch.tensor([-3])))
    assert (twice - rotate(vectors, rotary(torch.arange(5) - 3))).abs().max() < 1e-13
    assert torch.equal(twice[..., 16:], vectors[..., 16:])


def test_positions_survive_half_precision() -> None:
    rotary = RotaryPositions(32, 10000.0)
    exact = rotary(torch.arange(200)).cos
    assert torch.equal(rotary.to(torch.bfloat16)(torch.arange(200)).cos, exact)


def test_half_precision_follows_single() -> None:
    dit = small_dit().float()
    arguments = (random(1, 6, 9, seed=1).float(), torch.tensor([0.4]), random(1, 2, TEXT, seed=2))
    single = dit.velocity(*arguments)
    half = dit.to(torch.bfloat16).velocity(*arguments)
    assert F.cosine_similarity(single.flatten(), half.float().flatten(), dim=0) > 0.99


def test_configs_say_what_is_wrong() -> None:
    assert DiTConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(InputError, match="'dims'"):
        DiTConfig.from_dict({"dims": 3})
    with pytest.raises(InputError, match="dim 100 is not divisible by heads 3"):
        DiTConfig(dim=100, heads=3)
