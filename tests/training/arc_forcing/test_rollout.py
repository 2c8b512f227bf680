"""What is trained is what is played; gradients flow where they should and nowhere else."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lmdm.diffusion.samplers import sample
from lmdm.dit.model import DiT
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from tests.laws.network import LOCAL, TEXT, random, small_dit
from training.arc_forcing.config import RolloutConfig
from training.arc_forcing.rollout import Beginning, grid, grids_of, kept_context, roll

CONTEXT, BLOCK, BLOCKS = 12, 3, 6
CONFIG = StreamConfig(
    context_frames=CONTEXT, block_frames=BLOCK, window_blocks=4, steps=4, sampler="ping-pong"
)
CACHED = ("block-causal", "encoder-decoder")
PLAN = RolloutConfig(blocks=BLOCKS)


def beginning(context: int = CONTEXT) -> Beginning:
    return Beginning(
        random(6, context, seed=1),
        random(LOCAL, context, seed=2),
        random(LOCAL, BLOCKS * BLOCK, seed=3),
        random(2, TEXT, seed=4),
        seed=77,
    )


def network() -> DiT:
    return copy.deepcopy(small_dit()).requires_grad_(True)


def live(dit: DiT, config: StreamConfig, begun: Beginning, counts: list[int]) -> Tensor:
    """The stream as a session plays it: no training code."""
    stream = BlockStream(dit, config, seed=begun.seed)
    if begun.context.shape[1]:
        stream.prime(begun.context, begun.context_local)
    blocks = []
    for number, count in enumerate(counts):
        local = begun.local[:, number * BLOCK : (number + 1) * BLOCK]
        blocks.append(stream.next_block(BlockConditions(begun.text, local), steps=count))
    return torch.cat(blocks, dim=1)


@pytest.mark.parametrize("strategy", [*CACHED, "outpainting"])
@pytest.mark.parametrize("context", [0, 6, CONTEXT])
def test_the_training_rollout_is_the_live_stream(strategy: str, context: int) -> None:
    config = replace(CONFIG, strategy=strategy)
    dit, begun = network(), beginning(context)
    counts = [1, 4, 2, 3, 1, 2]
    grids = [grid(count, 4, "own", config) for count in counts]
    rolled = roll(dit, config, begun, grids)
    assert rolled.requires_grad
    assert (rolled - live(dit, config, begun, counts)).abs().max() < 1e-12


@pytest.mark.parametrize("strategy", [*CACHED, "outpainting"])
def test_each_block_has_the_gradient_of_its_last_step_alone(strategy: str) -> None:
    """Against a step written out by hand: everything before it is a constant."""
    config = replace(CONFIG, strategy=strategy)
    dit, begun, number, count = network(), beginning(), 3, 3
    weight = random(6, BLOCK, seed=9)
    grids = [grid(count, 4, "own", config)] * (number + 1)
    rolled = roll(dit, config, begun, grids)[:, number * BLOCK :]
    found = torch.autograd.grad((rolled * weight).sum(), list(dit.parameters()), allow_unused=True)

    stream = BlockStream(dit, config, seed=begun.seed)
    stream.prime(begun.context, begun.context_local)
    for block in range(number):
        local = begun.local[:, block * BLOCK : (block + 1) * BLOCK]
        stream.next_block(BlockConditions(begun.text, local), steps=count)
    local = begun.local[:, number * BLOCK : (number + 1) * BLOCK]
    with torch.no_grad():
        rows = stream._rows(BlockConditions(begun.text, local))
        stream._generator.manual_seed(stream.seed * 1_000_003 + number)
        x = stream._noise(BLOCK)[None]
        velocities = stream._network(rows, None)
        x = sample(velocities, x, grids[-1][:-1], "ping-pong", 1.0, stream._generator)
    t = grids[-1][-2]
    block = x - t * velocities(x, t)[0]
    wanted = torch.autograd.grad(
        (block[0] * weight).sum(), list(dit.parameters()), allow_unused=True
    )
    for (name, _), one, other in zip(dit.named_parameters(), found, wanted, strict=True):
        assert (one is None) == (other is None), name
        if one is not None:
            assert torch.allclose(one, other, atol=1e-10), name
    assert any(one is not None and one.abs().max() > 0 for one in found)


@pytest.mark.parametrize("strategy", CACHED)
def test_blocks_do_not_reach_one_another(strategy: str) -> None:
    """The gradient of a sum over blocks is the sum of the gradients of streams cut before each."""
    config = replace(CONFIG, strategy=strategy)
    dit, begun = network(), beginning()
    grids = [grid(2, 4, "own", config)] * BLOCKS
    rolled = roll(dit, config, begun, grids)
    last = dit.transformer.project_out.weight
    whole = torch.autograd.grad(rolled.square().sum(), last, retain_graph=True)[0]
    parts = [
        torch.autograd.grad(
            rolled[:, n * BLOCK : (n + 1) * BLOCK].square().sum(), last, retain_graph=True
        )[0]
        for n in range(BLOCKS)
    ]
    assert torch.allclose(whole, torch.stack(parts).sum(0), atol=1e-9)
    everything = replace(begun, context=begun.context.clone().requires_grad_())
    free = roll(dit, config, everything, grids, gradients="all")
    assert torch.autograd.grad(free[:, -BLOCK:].sum(), everything.context)[0].abs().max() > 0
    held = roll(dit, config, everything, grids)
    assert torch.autograd.grad(
        held.sum(), everything.context, allow_unused=True
    )[0] is None  # fmt: skip


@pytest.mark.parametrize("strategy", CACHED)
def test_gradients_are_where_they_should_be(strategy: str) -> None:
    """Text and context keys are constants; the target's own path is not."""
    config = replace(CONFIG, strategy=strategy)
    dit = network()
    roll(dit, config, beginning(), [grid(3, 4, "own", config)] * 3).square().sum().backward()
    gradients = {name: each.grad for name, each in dit.named_parameters() if each.requires_grad}
    for name, gradient in gradients.items():
        constant = "to_cond_embed" in name or "cross_attn.to_kv" in name
        constant |= "cross_attn.k_norm" in name
        if constant:
            assert gradient is None, name
        elif "timestep_features" not in name:
            assert gradient is not None, name
            assert gradient.abs().max() > 0, name
    stem = gradients["to_input_add_embed.weight"]
    assert stem is not None
    assert not stem[:, : 1 + 6].any()  # mask and clean latents: keys that are cached
    assert stem[:, 1 + 6 :].abs().min() > 0  # controls of the target


def test_a_fused_first_step_trains_the_pending_block_too() -> None:
    """With one step a block, the pass that carries the gradient also encodes the block before."""
    dit = network()
    roll(dit, CONFIG, beginning(), [grid(1, 4, "own", CONFIG)] * 3).square().sum().backward()
    stem = dit.to_input_add_embed.weight.grad
    assert stem is not None
    assert stem[:, : 1 + 6].abs().max() > 0


def test_step_counts_are_drawn_within_their_bounds() -> None:
    plan = replace(PLAN, blocks=400, fewest_steps=2, most_steps=3)
    grids = grids_of(plan, CONFIG, seed=1, step=5)
    lengths = [len(each) - 1 for each in grids]
    assert set(lengths) == {2, 3}
    assert abs(lengths.count(2) - 200) < 60
    assert grids == grids_of(plan, CONFIG, seed=1, step=5)
    assert grids != grids_of(plan, CONFIG, seed=1, step=6)


def test_the_releases_grid_is_the_first_points_of_the_whole_one() -> None:
    whole = grid(6, 6, "own", CONFIG)
    assert [round(t, 4) for t in whole] == [1.0, 0.9907, 0.9656, 0.8808, 0.6608, 0.3392, 0.0]
    assert grid(3, 6, "first", CONFIG) == [*whole[:3], 0.0]
    assert grid(6, 6, "first", CONFIG) == whole


def test_context_is_dropped_as_often_as_asked() -> None:
    plan = replace(PLAN, no_context=0.25, less_context=0.5)
    kept = [kept_context(plan, CONFIG, 1, 2, row) for row in range(2000)]
    assert set(kept) == {0, 3, 6, 9, 12}
    assert abs(kept.count(0) / 2000 - 0.25) < 0.04
    assert abs(kept.count(12) / 2000 - 0.375) < 0.04
