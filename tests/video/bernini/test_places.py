"""The plan has places: why a renderer needs them, and that attention finds them exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmdm.dit.rotary import rotate
from lmdm.video.bernini import renderer
from lmdm.video.bernini.planner import CLIP
from lmdm.video.bernini.vit import WIDTH
from lmdm.video.dit import (
    VideoDiT,
    VideoDiTConfig,
    grid_positions,
    partly_placed,
    rotation_of,
    spread_positions,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(config: VideoDiTConfig) -> VideoDiT:
    """Random in every matrix, also in those that begin at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = VideoDiT(config)
        for parameter in made.parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_normal_(parameter)
    return made.eval()


def test_a_coarse_token_stands_in_the_middle_of_its_part():
    fine = grid_positions((8, 4, 4)).unflatten(0, (4, 2, 2, 2, 2, 2))
    middles = fine.mean((1, 3, 5)).flatten(0, 2)
    assert torch.equal(spread_positions((4, 2, 2), (8, 4, 4)), middles)
    assert torch.equal(spread_positions((2, 3, 1), (2, 3, 1)), grid_positions((2, 3, 1)))


def test_words_stand_nowhere_and_plan_tokens_at_their_places():
    """One softmax over two kinds of logits, written out."""
    query, key, value = normal(2, 3, 5, 32), normal(2, 3, 7, 32, seed=1), normal(2, 3, 7, 8, seed=2)
    here = rotation_of(renderer.CONFIG, 4 * normal(5, 3, seed=3))
    there = rotation_of(renderer.CONFIG, 4 * normal(4, 3, seed=4))
    logits = torch.cat(
        [query @ key[:, :, :3].mT, rotate(query, here) @ rotate(key[:, :, 3:], there).mT], dim=-1
    )
    wanted = (logits * 32**-0.5).softmax(-1) @ value
    wide, keys = partly_placed(query, key, here, there)
    found = torch.nn.functional.scaled_dot_product_attention(wide, keys, value, scale=32**-0.5)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("placed", [False, True])
def test_noise_alone_does_not_tell_a_token_where_it_stands(placed):
    """The same latents everywhere: without places, every patch is drawn alike and the plan's order
    is not heard; with places neither holds.
    """
    grid = renderer.CONFIG.context_grid if placed else (0, 0, 0)
    draws = network(replace(renderer.CONFIG, context_grid=grid))
    latents, t, plan = torch.ones(1, 3, 8, 16, 16), torch.ones(1), normal(1, CLIP, WIDTH)
    with torch.no_grad():
        drawn, other = draws(latents, t, None, plan), draws(latents, t, None, plan.flip(1))
    patches = drawn.unflatten(3, (4, 4)).unflatten(-1, (4, 4)).movedim((2, 3, 5), (0, 1, 2))
    spread = (patches - patches[:1, :1, :1]).abs().max() / drawn.abs().max()
    moved = (drawn - other).abs().max() / drawn.abs().max()
    if placed:
        assert min(spread, moved) > 0.1
    else:
        assert max(spread, moved) < 1e-4
