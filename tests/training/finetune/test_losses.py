"""The losses of stage 1 are what the stream sees, on target frames alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmdm.diffusion.path import interpolate, velocity
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import Context
from lmdm.stream.strategies import (
    BlockCausalNetwork,
    Network,
    Rows,
    encoder_decoder_network,
    outpainting_network,
)
from tests.laws.network import LOCAL, TEXT, random, small_dit
from training.data.examples import Examples
from training.finetune.losses import (
    ContextDropout,
    outpainting_loss,
    parallel_block_loss,
    sobol_timesteps,
    window_loss,
)

DIT = small_dit()
CONTEXT, BLOCK = 12, 3
CONFIG = StreamConfig(context_frames=CONTEXT, block_frames=BLOCK, window_blocks=4)


def examples(frames: int = CONTEXT + BLOCK, batch: int = 2) -> Examples:
    return Examples(
        random(batch, 6, frames, seed=1),
        random(batch, LOCAL, frames, seed=2),
        random(batch, 2, TEXT, seed=3),
    )


def of_the_stream(
    strategy: str, given: Examples, row: int, t: float, noise: Tensor, context: int = CONTEXT
) -> Tensor:
    """Squared velocity error of one row by the networks that play, context of `context` frames."""
    latents, local, text = (part[row] for part in given[:3])
    past = Context(latents[:, CONTEXT - context : CONTEXT], local[:, CONTEXT - context : CONTEXT])
    rows = Rows(DIT.text_keys_values(text[None]), local[None, :, CONTEXT:], None)
    network: Network
    if strategy == "encoder-decoder":
        network = encoder_decoder_network(DIT, CONFIG, past, rows)[0]
    elif strategy == "block-causal":
        network = BlockCausalNetwork(DIT, CONFIG, past, rows)
    else:
        network = outpainting_network(
            DIT, CONFIG, past, rows, noise[:, CONTEXT - context : CONTEXT]
        )
    own = noise[:, -BLOCK:]
    target = latents[None, :, CONTEXT:]
    guess = network(interpolate(target, own[None], t), t)[0]
    return (guess - velocity(target, own[None])).square().mean()


def dropped(absent: int) -> ContextDropout:
    """Row 0 lacks its oldest `absent` frames, row 1 nothing."""
    none = ContextDropout.none(2, CONTEXT)
    none.absent[0, :absent] = True
    return none


@pytest.mark.parametrize("strategy", ["encoder-decoder", "block-causal", "outpainting"])
@pytest.mark.parametrize("absent", [0, 6, 12])
def test_losses_are_the_streams_own_error(strategy: str, absent: int) -> None:
    given, t = examples(), torch.tensor([0.7, 0.2], dtype=torch.float64)
    noise = random(2, 6, CONTEXT + BLOCK, seed=4)
    if strategy == "outpainting":
        loss = outpainting_loss(DIT, given, BLOCK, t, noise, dropped(absent))
    else:
        loss = window_loss(DIT, given, BLOCK, t, noise[..., CONTEXT:], dropped(absent), strategy)
    # Losses are taken in float32, whatever the network computes in.
    for row, missing in ((0, absent), (1, 0)):
        wanted = of_the_stream(strategy, given, row, float(t[row]), noise[row], CONTEXT - missing)
        assert float(loss[row]) == pytest.approx(float(wanted), rel=2e-6)


def test_silent_frames_that_are_given_are_zeros_with_the_mask() -> None:
    given, t = examples(), torch.tensor([0.7, 0.2], dtype=torch.float64)
    noise = random(2, 6, BLOCK, seed=4)
    loss = window_loss(DIT, given, BLOCK, t, noise, dropped(6), zeros=True)
    silent = Examples(*(part.clone() for part in given[:3]))
    silent.latents[0, :, :6], silent.local[0, :, :6] = 0.0, 0.0
    same = window_loss(DIT, silent, BLOCK, t, noise, ContextDropout.none(2, CONTEXT))
    assert torch.equal(loss, same)


def test_channel_groups_are_dropped_apart() -> None:
    given, t = examples(), torch.tensor([0.7, 0.2], dtype=torch.float64)
    noise, none = random(2, 6, BLOCK, seed=4), ContextDropout.none(2, CONTEXT)
    yes = torch.tensor([True, False])
    plain = window_loss(DIT, given, BLOCK, t, noise, none)
    for group in (none._replace(no_mask=yes), none._replace(no_latents=yes)):
        loss = window_loss(DIT, given, BLOCK, t, noise, group)
        assert loss[0] != plain[0]
        assert loss[1] == plain[1]


def test_copies_share_a_context_and_are_averaged() -> None:
    given, noise = examples(), random(2, 3, 6, BLOCK, seed=4)
    t = torch.tensor([[0.7, 0.1, 0.5], [0.2, 0.9, 0.4]], dtype=torch.float64)
    none = ContextDropout.none(2, CONTEXT)
    together = window_loss(DIT, given, BLOCK, t, noise, none)
    apart = [window_loss(DIT, given, BLOCK, t[:, n], noise[:, n], none) for n in range(3)]
    assert torch.allclose(together, torch.stack(apart).mean(0), rtol=2e-6)


def test_all_blocks_at_once_are_each_the_streams_newest() -> None:
    given = examples(5 * BLOCK)
    t, noise = torch.rand(2, 5).double(), random(2, 6, 5 * BLOCK, seed=5)
    whole = parallel_block_loss(DIT, given, BLOCK, CONTEXT, t, noise)
    each = []
    for block in range(5):
        end = (block + 1) * BLOCK
        padded = [
            torch.nn.functional.pad(part[..., :end], (CONTEXT - block * BLOCK, 0))
            for part in (given.latents, given.local)
        ]
        absent = ContextDropout.none(2, CONTEXT)
        absent.absent[:, : CONTEXT - block * BLOCK] = True
        window = Examples(padded[0], padded[1], given.text)
        own = noise[..., end - BLOCK : end]
        each.append(window_loss(DIT, window, BLOCK, t[:, block], own, absent, "block-causal"))
    assert torch.allclose(whole, torch.stack(each).mean(0), rtol=2e-6)


def test_context_is_no_target() -> None:
    """Noise and error are of target frames only: context latents enter as they are."""
    given, t = examples(), torch.tensor([0.7, 0.2], dtype=torch.float64)
    noise, none = random(2, 6, BLOCK, seed=4), ContextDropout.none(2, CONTEXT)
    context = given.latents[..., :CONTEXT].clone().requires_grad_()
    target = given.latents[..., CONTEXT:].clone().requires_grad_()
    joined = given._replace(latents=torch.cat([context, target], dim=-1))
    loss = window_loss(DIT, joined, BLOCK, t, noise, none).sum()
    on_target = torch.autograd.grad(loss, target)[0]
    assert on_target.abs().min() > 0
    shifted = given._replace(latents=given.latents.clone())
    shifted.latents[..., :CONTEXT] += 100.0  # an error on context frames would be in the thousands
    assert window_loss(DIT, shifted, BLOCK, t, noise, none).max() < 100.0


def test_sobol_timesteps_fill_the_interval_evenly() -> None:
    t = sobol_timesteps(64, 256, seed=3)
    uniform = torch.sigmoid(torch.logit(t) - 0.5)  # the shift at 256 frames is half a logit
    strata = (uniform * 64).floor().long()
    assert sorted(strata.tolist()) == list(range(64))
    assert torch.equal(t, sobol_timesteps(64, 256, seed=3))
    assert not torch.equal(t, sobol_timesteps(64, 256, seed=4))
