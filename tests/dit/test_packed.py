"""Packed weights: the same function, and no harm to the network they were taken from."""

from __future__ import annotations

import pytest
import torch

from lmdm.dit.model import DiT
from lmdm.dit.packed import packable, packed
from lmdm.dit.quantized import QuantizedLinear, quantizable
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig
from tests.laws.network import LOCAL, TEXT, random, small_dit

CONFIG = StreamConfig(context_frames=12, block_frames=3, window_blocks=4, steps=2)

needs_onednn = pytest.mark.skipif(
    not packable(small_dit().float()), reason="this torch has no oneDNN to pack weights with"
)


def single_precision() -> DiT:
    return small_dit().float()


def velocity(dit: DiT, frames: int) -> torch.Tensor:
    with torch.no_grad():
        return dit.velocity(
            random(2, 6, frames, seed=1).float(),
            torch.tensor([0.3, 0.9]),
            random(2, 4, TEXT, seed=2).float(),
        )


@needs_onednn
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_packed_network_is_the_same_function(frames: int) -> None:
    """Up to the order of sums in float32."""
    dit = single_precision()
    plain = velocity(dit, frames)
    apart = (velocity(packed(dit, tokens=8), frames) - plain).abs().max()
    assert apart <= 2e-5 * plain.abs().max()


@needs_onednn
def test_the_original_stays_whole() -> None:
    dit = single_precision()
    before = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    twin = packed(dit, tokens=8)
    assert type(twin.transformer.layers[0].ff) is not type(dit.transformer.layers[0].ff)
    assert all(torch.equal(before[name], tensor) for name, tensor in dit.state_dict().items())
    assert list(before) == list(dit.state_dict())
    assert twin.to_input_add_embed.weight is dit.to_input_add_embed.weight  # shared, not copied


@needs_onednn
def test_packing_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.get_rng_state()
    packed(single_precision(), tokens=8)
    assert torch.equal(torch.get_rng_state(), expected)


@pytest.mark.skipif(not packable(small_dit().bfloat16()), reason="this CPU computes no bfloat16")
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_packed_bfloat16_is_as_near_as_plain_bfloat16(frames: int) -> None:
    exact = velocity(single_precision(), frames)
    half = small_dit().bfloat16()
    plain, twin = (velocity(each, frames).float() for each in (half, packed(half, tokens=8)))
    off = [float((each - exact).square().mean().sqrt()) for each in (plain, twin)]
    assert off[1] <= 1.5 * off[0] < 0.1 * float(exact.square().mean().sqrt())


@pytest.mark.skipif(not quantizable(), reason="this torch multiplies no 8-bit matrices")
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("frames", [1, 40])
def test_eight_bits_are_near(frames: int, half: bool) -> None:
    dit = small_dit().to(torch.bfloat16 if half else torch.float32)
    exact = velocity(single_precision(), frames)
    near = velocity(packed(dit, 8, QuantizedLinear), frames).float()
    share = (near - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 0.0 < share < 0.1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_precisions_stay_as_they_are(dtype: torch.dtype) -> None:
    dit = small_dit().to(dtype)
    assert packed(dit, tokens=8) is dit


def test_a_playing_stream_equals_one_that_keeps_gradients() -> None:
    """Packed, with room in its cache, against plain weights and joined tensors."""
    dit = single_precision()
    playing = BlockStream(dit, CONFIG, seed=1)
    rolling = BlockStream(dit, CONFIG, seed=1, gradients="all")
    for index in range(9):
        given = BlockConditions(
            random(1, TEXT, seed=index // 4).float(), random(LOCAL, 3, seed=index).float()
        )
        one, other = playing.next_block(given), rolling.next_block(given)
        assert (one - other).abs().max() <= 1e-3 * other.abs().max(), index
