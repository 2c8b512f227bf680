"""The stem B is added to any network without changing what it does; LoRA merges exactly."""

from __future__ import annotations

import copy

import pytest
import torch

from lmdm.conditioning.local import LocalConditioning
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from tests.laws.network import random
from training.finetune.config import LoRAConfig
from training.finetune.lora import add_lora, merged
from training.finetune.stem import with_stem

BEFORE, AFTER = LocalConditioning(("drums", "loudness")), LocalConditioning(("beat", "loudness"))


def network(routed: bool, local: int = 0) -> DiT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dit = DiT(
            DiTConfig(
                latent_channels=6, dim=64, depth=2, heads=2, text_dim=12, global_dim=0,
                local_channels=local, routed=routed, feedforward_multiplier=2,
                timestep_features=16,
            )
        )  # fmt: skip
        for parameter in dit.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return dit.double()


def test_a_base_model_is_what_it_was() -> None:
    dit = network(routed=False)
    routed = with_stem(dit, None, AFTER)
    x, t, text = (
        random(2, 6, 9, seed=1),
        torch.tensor([0.3, 0.8]).double(),
        random(2, 3, 12, seed=2),
    )
    assert torch.equal(routed.velocity(x, t, text), dit.velocity(x, t, text))
    assert not routed.to_input_add_embed.weight.any()
    assert routed.to_input_add_embed.weight.shape == (64, 1 + 6 + AFTER.channels)
    config = StreamConfig(context_frames=6, block_frames=3, window_blocks=2, strategy="outpainting")
    sounds = []
    for each in (dit, routed):
        stream = BlockStream(each, config, seed=2)
        stream.prime(random(6, 6, seed=3))
        sounds.append(stream.next_block(BlockConditions(text[0])))
    assert torch.allclose(*sounds, atol=1e-9)  # the base keeps its global token before the frames


def test_copied_columns_embed_clean_context_as_the_base_does() -> None:
    dit = network(routed=False)
    routed = with_stem(dit, None, None, "copy")
    x = random(2, 6, 5, seed=1)
    assert torch.allclose(routed.embed_context(x, None), dit._stem_a(x), atol=1e-12)


def test_controls_are_added_and_left_out_by_name() -> None:
    dit = network(routed=True, local=BEFORE.channels)
    grown = with_stem(dit, BEFORE, AFTER)
    old, new = dit.to_input_add_embed.weight, grown.to_input_add_embed.weight
    head = 7
    loud, was = AFTER.slices["loudness"], BEFORE.slices["loudness"]
    assert torch.equal(new[:, :head], old[:, :head])
    assert torch.equal(
        new[:, head + loud.start : head + loud.stop], old[:, head + was.start : head + was.stop]
    )
    beat = AFTER.slices["beat"]
    assert not new[:, head + beat.start : head + beat.stop].any()
    assert with_stem(dit, BEFORE, LocalConditioning(BEFORE.names)) is dit


def test_gradients_reach_a_stem_of_zeros() -> None:
    routed = with_stem(network(routed=False), None, AFTER)
    hidden = routed.embed_context(random(1, 6, 4, seed=1), random(1, AFTER.channels, 4, seed=2))
    hidden.sum().backward()
    gradient = routed.to_input_add_embed.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(0).min() > 0


@pytest.mark.parametrize("rank", [1, 4])
def test_lora_trains_little_and_merges_exactly(rank: int) -> None:
    dit = network(routed=True, local=0)
    plain = copy.deepcopy(dit)
    adapted = add_lora(dit, LoRAConfig(rank=rank, alpha=8.0)).double()
    x, t, text = (
        random(2, 6, 9, seed=1),
        torch.tensor([0.3, 0.8]).double(),
        random(2, 3, 12, seed=2),
    )
    begun = adapted.velocity(x, t, text)
    assert torch.allclose(begun, plain.velocity(x, t, text), atol=1e-12)
    trained = {n for n, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in n or n.startswith("to_input_add_embed") for n in trained)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    whole = merged(adapted)
    assert whole.state_dict().keys() == plain.state_dict().keys()
    expected = adapted.velocity(x, t, text)
    assert (whole.velocity(x, t, text) - expected).abs().max() < 1e-12
    assert (expected - plain.velocity(x, t, text)).abs().max() > 1e-3
