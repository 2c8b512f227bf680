"""v-prediction on the stream's own path: the same points, the same data, the same noise."""

from __future__ import annotations

import math

import pytest
import torch

from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from lmdm.stream.objective import network_input, velocity_of


def noise(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("t", [1.0, 0.9907, 0.5, 0.12])
def test_a_perfect_v_network_is_a_perfect_velocity(t: float) -> None:
    data, eps = noise(1, 3, 5, seed=1), noise(1, 3, 5, seed=2)
    x = (1 - t) * data + t * eps
    z, timestep = network_input("v", x, t)
    angle = timestep * math.pi / 2
    assert torch.allclose(z, math.cos(angle) * data + math.sin(angle) * eps, atol=1e-12)
    output = math.cos(angle) * eps - math.sin(angle) * data
    both = torch.cat([output, output])
    assert torch.allclose(velocity_of("v", both, x, t), (eps - data).expand(2, -1, -1), atol=1e-12)


def test_rectified_flow_is_left_alone() -> None:
    x = noise(1, 3, 5, seed=1)
    assert network_input("rectified_flow", x, 0.3) == (x, 0.3)
    assert velocity_of("rectified_flow", x, x, 0.3) is x


def base(**changes: object) -> DiT:
    """A base model without a context stem; random weights throughout."""
    settings = {
        "latent_channels": 4, "dim": 64, "depth": 2, "heads": 2, "text_dim": 6, "global_dim": 5,
        "routed": False,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dit = DiT(DiTConfig(**(settings | changes)))
        for parameter in dit.parameters():
            torch.nn.init.normal_(parameter, std=0.15)
    return dit.eval().requires_grad_(False)


BASES = [
    {},
    {"objective": "v"},
    {"modulated": True},
    {"patch": 2, "memory_tokens": 2},
    {"rotary_channels": 0, "layer_scale": True},
]
CONFIG = StreamConfig(
    context_frames=16, block_frames=4, window_blocks=4, steps=3, strategy="outpainting"
)


@pytest.mark.parametrize("changes", BASES)
def test_every_base_model_streams_by_outpainting(changes: dict[str, object]) -> None:
    """Blocks follow one another, finite, heard by the next, and the same again from the seed."""
    dit = base(**changes)
    given = BlockConditions(
        noise(3, 6, seed=1).float(), None, noise(5, seed=2).float(), guidance=2.0
    )
    first, again, other = (BlockStream(dit, CONFIG, seed=seed) for seed in (1, 1, 2))
    blocks = [first.next_block(given) for _ in range(6)]
    assert all(bool(torch.isfinite(block).all()) for block in blocks)
    assert all(torch.equal(block, again.next_block(given)) for block in blocks)
    assert not torch.equal(blocks[0], other.next_block(given))
    first.reset()
    alone = BlockStream(dit, CONFIG, seed=1)
    alone.block = 6
    assert torch.equal(first.next_block(given), alone.next_block(given))
    again.prime(noise(4, 16, seed=3).float())
    assert not torch.equal(again.next_block(given), first.next_block(given))


@pytest.mark.parametrize("strategy", ["encoder-decoder", "block-causal"])
def test_caching_needs_a_context_stem(strategy: str) -> None:
    config = StreamConfig(context_frames=16, block_frames=4, window_blocks=4, strategy=strategy)
    with pytest.raises(InputError, match="needs a model with a context stem"):
        BlockStream(base(), config)


def test_blocks_are_whole_tokens() -> None:
    config = StreamConfig(
        context_frames=12, block_frames=3, window_blocks=4, strategy="outpainting"
    )
    with pytest.raises(InputError, match="2 frames a token"):
        BlockStream(base(patch=2), config)


def test_a_v_model_with_a_context_stem_is_cached_too() -> None:
    """Encoder-decoder and block-causal agree where there is no context yet."""
    dit = base(objective="v", routed=True)
    made = []
    for strategy in ("encoder-decoder", "block-causal"):
        config = StreamConfig(context_frames=16, block_frames=4, window_blocks=4, strategy=strategy)
        made.append(BlockStream(dit, config, seed=1).next_block(BlockConditions()))
    assert torch.allclose(*made, atol=1e-4)


@pytest.mark.parametrize("strategy", ["encoder-decoder", "block-causal", "outpainting"])
def test_a_silent_accompaniment_is_given_everywhere(strategy: str) -> None:
    """Its mask is 1 in context and target alike, primed or not: as with silence played in."""
    dit = base(routed=True, local_channels=5)
    config = StreamConfig(
        context_frames=16, block_frames=4, window_blocks=4, steps=2, strategy=strategy,
        absent_context="zeros", accompaniment=True,
    )  # fmt: skip
    silence = torch.zeros(5, 4)
    silence[0] = 1.0
    absent, played = BlockStream(dit, config, seed=1), BlockStream(dit, config, seed=1)
    unmasked = BlockStream(dit, config, seed=1)
    for stream, local in ((absent, None), (played, silence.repeat(1, 2))):
        stream.prime(noise(4, 8, seed=2).float(), local)
    blocks = [absent.next_block(BlockConditions()) for _ in range(3)]
    for block in blocks:
        assert torch.equal(block, played.next_block(BlockConditions(local=silence)))
    unmasked.prime(noise(4, 8, seed=2).float(), torch.zeros(5, 8))
    assert not torch.equal(blocks[0], unmasked.next_block(BlockConditions(local=torch.zeros(5, 4))))
