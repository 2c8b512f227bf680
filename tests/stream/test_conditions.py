"""Laws of conditions: guidance and its null row, negative prompts, steps, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmdm.errors import InputError
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import Context
from tests.laws.network import GLOBAL, LOCAL, TEXT, random, small_dit

DIT = small_dit(global_dim=GLOBAL)
CONFIG = StreamConfig(context_frames=12, block_frames=3, window_blocks=4, steps=2)
CACHED = ("block-causal", "encoder-decoder")


def conditions(seed: int = 1, guidance: float = 1.0) -> BlockConditions:
    return BlockConditions(
        text_tokens=random(2, TEXT, seed=seed), local=random(LOCAL, 3, seed=seed), guidance=guidance
    )


def stream_of(**changes: object) -> BlockStream:
    return BlockStream(DIT, replace(CONFIG, **changes), seed=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", CACHED)
def test_guidance_extrapolates_from_null_to_conditional(strategy: str) -> None:
    """In one step a block is noise - velocity, so blocks are as linear in guidance as it is."""
    context = random(6, 12, seed=1), random(LOCAL, 12, seed=2)
    blocks = []
    for guidance in (0.0, 1.0, 2.5):
        stream = stream_of(strategy=strategy, steps=1)
        stream.prime(*context)
        blocks.append(stream.next_block(conditions(guidance=guidance)))
    null, conditional, guided = blocks
    assert (guided - (null + 2.5 * (conditional - null))).abs().max() < 1e-12


@pytest.mark.parametrize("strategy", CACHED)
def test_the_null_row_hears_the_context_but_no_text_and_no_local(strategy: str) -> None:
    context, local = random(6, 12, seed=1), random(LOCAL, 12, seed=2)
    null = stream_of(strategy=strategy)
    null.prime(context, local)
    silent = stream_of(strategy=strategy)
    silent.prime(context)
    expected = silent.next_block(BlockConditions())
    assert (null.next_block(conditions(guidance=0.0)) - expected).abs().max() < 1e-12


def test_a_negative_prompt_takes_the_null_rows_place() -> None:
    negative = random(1, TEXT, seed=8)
    given = replace(conditions(guidance=0.0), local=None, negative_text_tokens=negative)
    # Shorter text is filled up with zero tokens, as Stable Audio's own is.
    padded = torch.cat([negative, torch.zeros_like(negative)])
    expected = stream_of().next_block(BlockConditions(text_tokens=padded))
    assert (stream_of().next_block(given) - expected).abs().max() < 1e-12


def test_guidance_that_comes_later_encodes_the_context_anew() -> None:
    stream = stream_of()
    for _ in range(3):
        stream.next_block(conditions())
    fresh = stream_of(guided=True)
    fresh.block, fresh.context = stream.block, Context(stream.context.latents, stream.context.local)
    for guidance in (2.0, 2.0, 3.0):
        given = conditions(guidance=guidance)
        assert torch.equal(stream.next_block(given), fresh.next_block(given))
    assert stream.next_block(conditions()).isfinite().all()


def test_plus_plus_samplers_have_their_null_row_at_guidance_one() -> None:
    stream = stream_of(sampler="ping-pong++")
    assert stream.next_block(conditions()).isfinite().all()


@pytest.mark.parametrize("strategy", ["outpainting", *CACHED])
def test_no_text_is_zero_text(strategy: str) -> None:
    one, other = stream_of(strategy=strategy), stream_of(strategy=strategy)
    zeros = torch.zeros(2, TEXT, dtype=torch.float64)
    for _ in range(3):
        none = one.next_block(BlockConditions())
        zero = other.next_block(BlockConditions(text_tokens=zeros))
        assert (none - zero).abs().max() < 1e-12


def test_steps_can_change_from_block_to_block() -> None:
    stream, configured = stream_of(steps=7), stream_of(steps=3)
    for _ in range(3):
        block = stream.next_block(conditions(), steps=3)
        assert torch.equal(block, configured.next_block(conditions()))
    with pytest.raises(ValueError, match="steps is 0"):
        stream.next_block(conditions(), steps=0)


def test_silent_context_is_what_priming_with_zeros_gives() -> None:
    silent = stream_of(absent_context="zeros")
    primed = stream_of()
    primed.prime(torch.zeros(6, 12))
    first = silent.next_block(conditions())
    assert torch.equal(first, primed.next_block(conditions()))
    assert not torch.allclose(first, stream_of().next_block(conditions()))
    assert torch.equal(silent.next_block(conditions(2)), primed.next_block(conditions(2)))
    silent.drop_context(9)
    assert silent.context.frames == 12
    assert not silent.context.latents[:, :9].any()
    assert silent.context.latents[:, 9:].all()


def test_global_condition_is_heard() -> None:
    given = conditions()
    other = replace(given, global_condition=random(GLOBAL, seed=4))
    assert not torch.allclose(stream_of().next_block(given), stream_of().next_block(other))


def test_half_precision_network_keeps_single_precision_latents() -> None:
    half = BlockStream(small_dit().to(torch.bfloat16), replace(CONFIG, guided=True), seed=3)
    single = BlockStream(small_dit().float(), replace(CONFIG, guided=True), seed=3)
    for _ in range(6):  # long enough to evict and move keys
        one, other = (s.next_block(conditions(guidance=1.5)) for s in (half, single))
        assert one.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0) > 0.97
        half.context = replace(half.context, latents=single.context.latents)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"text_tokens": torch.zeros(1, TEXT + 1)}, "text tokens"),
        ({"local": torch.zeros(LOCAL, 4)}, "local conditions"),
        ({"global_condition": torch.zeros(GLOBAL + 1)}, "global condition"),
    ],
)
def test_wrong_shapes_are_named(wrong: dict[str, torch.Tensor], what: str) -> None:
    with pytest.raises(InputError, match=f"^{what}: shape"):
        stream_of().next_block(BlockConditions(**wrong))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"latents: shape \(7, 12\)"):
        stream_of().prime(torch.zeros(7, 12))
