"""Cached generation is the masked full pass, for every strategy, in float64.

Each law holds twice: with gradients tokens are joined to the cache as new tensors; without, they
are written into its room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lmdm.dit.masks import (
    block_causal_mask,
    encoder_decoder_mask,
    parallel_block_mask,
    parallel_block_positions,
)
from lmdm.dit.rotary import rotate
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import Context
from lmdm.stream.strategies import BlockCausalNetwork, Rows, encoder_decoder_network
from tests.laws.network import LOCAL, TEXT, random, small_dit

CONFIG = StreamConfig(
    context_frames=12,
    block_frames=3,
    window_blocks=4,
    steps=2,
    sampler="euler",
    guided=False,
    strategy="encoder-decoder",
)
DIT = small_dit()


@pytest.fixture(autouse=True, params=[True, False], ids=["gradients", "inference"])
def gradients(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.set_grad_enabled(request.param):
        yield


def rows(seed: int = 1, count: int = 1) -> Rows:
    text = DIT.text_keys_values(random(count, 2, TEXT, seed=seed))
    return Rows(text, random(count, LOCAL, 3, seed=seed + 50), None)


def full_pass(
    context: torch.Tensor,
    local: torch.Tensor,
    x: torch.Tensor,
    t: float,
    given: Rows,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Velocity by one masked pass over [context | target | global], built from the stems alone."""
    timestep = torch.tensor([t], dtype=torch.float64)
    tokens = torch.cat(
        [
            DIT.embed_context(context[None], local[None]),
            DIT.embed_target(x, given.local),
            DIT.embed_global(timestep, None),
        ],
        dim=1,
    )
    frames = context.shape[1]
    positions = torch.cat([torch.arange(13 - frames, 16), torch.zeros(1, dtype=torch.long)])
    hidden, _ = DIT.transform(tokens, positions, given.text, mask)
    return DIT.project(hidden[:, frames : frames + 3])


@pytest.mark.parametrize("frames", [12, 6, 3])
def test_encoder_decoder_cached_equals_full_masked_forward(frames: int) -> None:
    context, local = random(6, frames, seed=2), random(LOCAL, frames, seed=3)
    x, given = random(1, 6, 3, seed=4), rows()
    network, _ = encoder_decoder_network(DIT, CONFIG, Context(context, local), given)
    expected = full_pass(context, local, x, 0.7, given, encoder_decoder_mask(frames, 3))
    assert (network(x, 0.7)[0] - expected).abs().max() <= 1e-12


def test_block_causal_bootstrap_equals_full_masked_forward() -> None:
    context, local = random(6, 12, seed=2), random(LOCAL, 12, seed=3)
    x, given = random(1, 6, 3, seed=4), rows()
    network = BlockCausalNetwork(DIT, CONFIG, Context(context, local), given)
    expected = full_pass(context, local, x, 0.7, given, block_causal_mask(12, 3, 3, 4))
    assert (network(x, 0.7)[0] - expected).abs().max() <= 1e-12


def test_context_keys_do_not_depend_on_noise_or_timestep() -> None:
    context = Context(random(6, 12, seed=2), random(LOCAL, 12, seed=3))
    given = rows()
    caches = []
    for x, t in ((random(1, 6, 3, seed=8), 0.9), (random(1, 6, 3, seed=9), 0.1)):
        network = BlockCausalNetwork(DIT, CONFIG, context, given)
        network(x, t)
        pending = replace(context.extended(x[0] * 0, given.local[0], 12), cache=network.cache)
        fused = BlockCausalNetwork(DIT, CONFIG, pending, given)
        fused(x, t)
        caches.append((network.cache, fused.cache))
    for one, other in zip(*caches, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)


def test_moving_cached_keys_is_rotating_them_at_the_new_positions() -> None:
    raw = random(1, 2, 5, 32, seed=6)
    rotary = DIT.transformer.rotary_pos_emb.double()
    there = rotate(raw, rotary(torch.arange(7, 12)))
    moved = rotate(there, rotary(torch.tensor([-3.0], dtype=torch.float64)))
    direct = rotate(raw, rotary(torch.arange(4, 9)))
    assert (moved - direct).abs().max() <= 1e-12


def test_postpended_token_stands_where_the_base_model_prepends_it() -> None:
    """No context and B = 0: the stream's pass is the base model's, only the order differs.

    RoPE sees differences alone, so frames at s+1.. with the token at s would be the same as frames
    at 1.. with the token at 0; a context of no slots gives just that.
    """
    dit = small_dit(global_dim=7, local_channels=0)
    latents, text = random(1, 6, 9, seed=1), random(1, 4, TEXT, seed=2)
    timestep, global_condition = random(1, seed=3).sigmoid(), random(1, 7, seed=4)
    tokens = torch.cat(
        [dit.embed_target(latents, None), dit.embed_global(timestep, global_condition)], dim=1
    )
    positions = torch.cat([torch.arange(1, 10), torch.zeros(1, dtype=torch.long)])
    hidden, _ = dit.transform(tokens, positions, dit.text_keys_values(text))
    base = dit.velocity(latents, timestep, text, global_condition)
    assert (dit.project(hidden[:, :9]) - base).abs().max() <= 1e-12


def test_training_every_block_at_once_equals_the_stream() -> None:
    """What is trained is what is played: the parallel pass gives each block the stream's velocity,

    from the cold start on, through evictions and re-rotations.
    """
    blocks, block, context = 9, 3, 12
    clean, noisy = random(6, 27, seed=1), random(6, 27, seed=2)
    local, text = random(LOCAL, 27, seed=3), random(1, 1, TEXT, seed=4)
    t = 0.6
    text_keys_values = DIT.text_keys_values(text)
    token = DIT.embed_global(torch.tensor([t], dtype=torch.float64), None)
    target = DIT.embed_target(noisy[None], local[None]).view(1, blocks, block, -1)
    both = torch.cat([target, token[:, None].expand(1, blocks, 1, -1)], dim=2).flatten(1, 2)
    hidden, _ = DIT.transform(
        torch.cat([DIT.embed_context(clean[None], local[None]), both], dim=1),
        parallel_block_positions(blocks, block, context),
        text_keys_values,
        parallel_block_mask(blocks, block, context // block),
    )
    hidden = hidden[:, 27:].unflatten(1, (blocks, block + 1))[:, :, :block].flatten(1, 2)
    parallel = DIT.project(hidden)[0]

    state = Context(clean[:, :0], local[:, :0])
    for index in range(blocks):
        own = slice(index * block, (index + 1) * block)
        given = Rows(text_keys_values, local[None, :, own], None)
        network = BlockCausalNetwork(DIT, CONFIG, state, given)
        streamed = network(noisy[None, :, own], t)[0][0]
        again = network(noisy[None, :, own], t)[0][0]  # now wholly from the cache
        assert (streamed - parallel[:, own]).abs().max() <= 1e-10, index
        assert (again - parallel[:, own]).abs().max() <= 1e-10, index
        state = replace(state, cache=network.cache).extended(clean[:, own], local[:, own], context)


def test_cache_keeps_its_shape() -> None:
    stream = BlockStream(DIT, replace(CONFIG, strategy="block-causal", guided=True), seed=1)
    shapes = set()
    for _ in range(8):
        stream.next_block(BlockConditions(text_tokens=random(2, TEXT, seed=1), guidance=2.0))
        assert stream.context.cache is not None
        shapes.add(tuple(stream.context.cache.keys.shape))
    assert shapes == {(3, 2, 2, 12, 32)}


def test_a_long_stream_in_single_precision_does_not_drift() -> None:
    """Keys are moved once a block and leave after a window, so errors cannot pile up."""
    config = replace(CONFIG, strategy="block-causal")
    single, double = BlockStream(small_dit().float(), config), BlockStream(DIT, config)
    worst = []
    for index in range(60):
        given = BlockConditions(local=random(LOCAL, 3, seed=index))
        one, other = single.next_block(given), double.next_block(given)
        worst.append(float((one - other).abs().max()))
        # The same past for both: what is compared is the caches, not chaos.
        single.context = replace(single.context, latents=double.context.latents.float())
    assert max(worst[30:]) < 10 * max(worst[:30])
    assert max(worst) < 1e-3


def test_a_remembered_cache_never_changes() -> None:
    """Snapshots are references: no later pass may write where an earlier block's context lies."""
    stream = BlockStream(DIT, replace(CONFIG, strategy="block-causal"), seed=1)
    remembered = []
    for _ in range(7):
        stream.next_block(BlockConditions())
        cache = stream.context.cache
        assert cache is not None
        remembered.append((cache, cache.keys.clone(), cache.values.clone()))
    for cache, keys, values in remembered:
        assert torch.equal(cache.keys, keys)
        assert torch.equal(cache.values, values)
