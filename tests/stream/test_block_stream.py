"""Laws of the stream: exact snapshots, seeds, prompts, dropped context, guidance."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmdm.errors import InputError
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import STRATEGIES, StreamConfig
from tests.laws.network import LOCAL, TEXT, random, small_dit

DIT = small_dit()
CONFIG = StreamConfig(context_frames=12, block_frames=3, window_blocks=4, steps=2, guided=True)


def conditions(seed: int = 1, guidance: float = 2.0) -> BlockConditions:
    return BlockConditions(
        text_tokens=random(1, TEXT, seed=seed), local=random(LOCAL, 3, seed=seed), guidance=guidance
    )


def stream_of(strategy: str, seed: int = 3, **changes: object) -> BlockStream:
    return BlockStream(DIT, replace(CONFIG, strategy=strategy, **changes), seed=seed)  # type: ignore[arg-type]


def play(stream: BlockStream, blocks: int, first: int = 0) -> torch.Tensor:
    return torch.cat([stream.next_block(conditions(first + n)) for n in range(blocks)], dim=1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_seeds_give_equal_latents(strategy: str) -> None:
    assert torch.equal(play(stream_of(strategy), 6), play(stream_of(strategy), 6))
    assert not torch.equal(play(stream_of(strategy), 2), play(stream_of(strategy, seed=4), 2))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_snapshot_and_restore_are_exact(strategy: str) -> None:
    stream = stream_of(strategy)
    play(stream, 5)
    snapshot = stream.snapshot()
    first = play(stream, 4, first=10)
    play(stream, 3, first=77)
    stream.restore(snapshot)
    assert torch.equal(play(stream, 4, first=10), first)


@pytest.mark.parametrize("strategy", ["block-causal", "encoder-decoder"])
def test_a_new_prompt_is_heard_as_if_the_context_were_encoded_anew(strategy: str) -> None:
    """After a prompt change the cache must hold nothing that heard the old prompt."""
    stream = stream_of(strategy)
    play(stream, 5)
    fresh = stream_of(strategy)
    fresh.prime(stream.context.latents, stream.context.local)
    fresh.block = stream.block
    changed = conditions(seed=99)
    assert torch.equal(stream.next_block(changed), fresh.next_block(changed))


def test_text_keys_are_computed_once_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = DIT.text_keys_values
    monkeypatch.setattr(DIT, "text_keys_values", lambda t: calls.append(1) or real(t))
    stream = stream_of("block-causal")
    for prompt in (1, 1, 1, 2, 2):
        stream.next_block(conditions(prompt))
    assert len(calls) == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_dropped_context_is_as_if_it_had_never_been(strategy: str) -> None:
    stream = stream_of(strategy)
    play(stream, 4)
    kept_latents, kept_local = stream.context.latents[:, 6:], stream.context.local[:, 6:]
    stream.drop_context(5)  # rounded up to two blocks
    primed = stream_of(strategy)
    primed.prime(kept_latents, kept_local)
    primed.block = stream.block
    assert torch.equal(play(stream, 3, first=8), play(primed, 3, first=8))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_reset_is_a_cold_start(strategy: str) -> None:
    stream = stream_of(strategy)
    play(stream, 4)
    stream.reset()
    stream.block = 0
    assert torch.equal(play(stream, 2), play(stream_of(strategy), 2))


def test_guidance_one_is_the_unguided_stream() -> None:
    guided = stream_of("block-causal")
    plain = stream_of("block-causal", guided=False)
    for n in range(5):
        given = conditions(n, guidance=1.0)
        assert torch.allclose(guided.next_block(given), plain.next_block(given), atol=1e-12)


@pytest.mark.parametrize("sampler", ["euler", "euler++", "ping-pong", "ping-pong++"])
def test_every_sampler_streams(sampler: str) -> None:
    latents = play(stream_of("block-causal", sampler=sampler), 3)
    assert latents.shape == (6, 9)
    assert latents.isfinite().all()


def test_conditions_change_the_music() -> None:
    quiet = BlockConditions(guidance=1.0)
    base = stream_of("block-causal").next_block(quiet)
    for change in (
        {"text_tokens": random(1, TEXT, seed=5)},
        {"local": random(LOCAL, 3, seed=5)},
    ):
        assert not torch.allclose(
            stream_of("block-causal").next_block(replace(quiet, **change)), base
        )


def test_wrong_local_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"local conditions: shape \(5, 4\)"):
        stream_of("block-causal").next_block(BlockConditions(local=random(LOCAL, 4, seed=1)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"blok_frames": 4}, "blok_frames"),
        ({"context_frames": 10, "block_frames": 4}, "context_frames is 10"),
        ({"strategy": "magic"}, "magic"),
        ({"steps": 0}, "steps"),
    ],
)
def test_bad_configs_are_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StreamConfig.from_dict(values)


def test_gradients_reach_the_weights_through_the_stream() -> None:
    """ARC-Forcing rolls out through this very code."""
    dit = small_dit().requires_grad_(True)
    stream = BlockStream(dit, CONFIG, seed=1, gradients="all")
    stream.next_block(conditions())
    stream.next_block(conditions()).square().mean().backward()
    gradient = dit.transformer.layers[0].self_attn.to_qkv.weight.grad  # type: ignore[union-attr]
    assert gradient is not None and gradient.abs().max() > 0


def test_a_playing_stream_holds_no_graph() -> None:
    stream = BlockStream(small_dit().requires_grad_(True), CONFIG, seed=1)
    assert not stream.next_block(conditions()).requires_grad
    assert stream.context.cache is not None
    assert not stream.context.cache.keys.requires_grad


def test_a_snapshot_copies_nothing() -> None:
    stream = stream_of("block-causal")
    play(stream, 5)
    assert stream.snapshot().context is stream.context


def test_the_null_row_can_be_left_out_and_the_context_stays() -> None:
    """Rows know nothing of one another: what goes on is what would have been without the null."""
    kept = stream_of("block-causal", guided=True)
    alone = stream_of("block-causal", guided=False)
    plain = [replace(conditions(), guidance=1.0)] * 6
    for each in plain[:4]:
        torch.testing.assert_close(kept.next_block(each), alone.next_block(each))
    for each in plain[4:]:
        unguided = kept.next_block(replace(each, guided=False))
        torch.testing.assert_close(unguided, alone.next_block(each))
        assert kept.context.cache is not None and kept.context.cache.keys.shape[1] == 1
    assert kept.next_block(plain[0]).isfinite().all()
    assert kept.context.cache is not None and kept.context.cache.keys.shape[1] == 2


def test_noise_turned_towards_another_stays_noise_and_ends_there() -> None:
    stream, other = stream_of("block-causal"), stream_of("block-causal")
    other.block = 70
    begins = stream.snapshot()
    own, wanted = stream.next_block(conditions()), other.next_block(conditions())
    for share, expected in ((0.0, own), (1.0, wanted)):
        stream.restore(begins)
        found = stream.next_block(conditions(), towards=(70, share))
        torch.testing.assert_close(found, expected)
    noise = torch.stack([stream._noise_towards(n, 0.5) for n in range(1000)])
    assert noise.std() == pytest.approx(1.0, abs=0.03)
