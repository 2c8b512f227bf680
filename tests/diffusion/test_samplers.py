"""The engine's samplers against their published formulas, and who draws noise when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lmdm.diffusion.grid import logsnr_timesteps
from lmdm.diffusion.guidance import guided
from lmdm.diffusion.prediction import Kind, Prediction
from lmdm.diffusion.samplers import NEEDS_NULL, SAMPLERS, SOLVERS, Velocities, sample
from lmdm.diffusion.sampling import gaussian
from lmdm.diffusion.schedule import RectifiedFlow
from lmdm.diffusion.solvers import Walk
from tests.laws.network import random

MEAN, SPREAD = 1.3, 0.5


def one_piece(x0: Tensor) -> Callable[[Tensor, float], Velocities]:
    """The exact velocity of data that is only x0, for condition and null alike."""
    return lambda x, t: ((x - x0) / t, (x - x0) / t)


def gaussian_data(x: Tensor, t: float) -> Velocities:
    """The exact velocity of Gaussian data, E[noise - x0 | x]."""
    variance = (1 - t) ** 2 * SPREAD**2 + t**2
    x0 = MEAN + (1 - t) * SPREAD**2 / variance * (x - (1 - t) * MEAN)
    noise = t / variance * (x - (1 - t) * MEAN)
    return noise - x0, None


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_sampler_ends_at_the_only_piece_there_is(sampler: str, steps: int) -> None:
    x0, noise = random(2, 6, 3, seed=1), random(2, 6, 3, seed=2)
    grid = logsnr_timesteps(steps).tolist()
    end = sample(one_piece(x0), noise, grid, sampler, 1.0, generator())
    assert (end - x0).abs().max() < 1e-12


def one_step(
    sampler: str, x: Tensor, velocities: Velocities, guidance: float, noise: Tensor | None = None
) -> Tensor:
    """A step from 0.8 to 0.3, with noise of one's own."""
    conditional, null = velocities
    prediction = Prediction(guided(conditional, null, guidance), Kind.V, null)
    walk = Walk(RectifiedFlow(), lambda like: noise if noise is not None else like * torch.nan)
    return SOLVERS[sampler].step(x, 0.8, 0.3, lambda *_: prediction, walk)


def test_each_sampler_is_its_formula_on_rectified_flow() -> None:
    """Euler x + (t' - t) v; ping-pong (1 - t') x0 + t' z; "++" x0(guided) + t' (z - x0(null))."""
    x, conditional, null, noise = (random(4, seed=n) for n in range(4))
    both = (conditional, null)
    v = null + 0.7 * (conditional - null)
    for sampler, expected in (
        ("euler", x - 0.5 * v),
        ("ping-pong", 0.7 * (x - 0.8 * v) + 0.3 * noise),
        ("euler++", x - 0.8 * v + 0.3 * null),
        ("ping-pong++", x - 0.8 * v + 0.3 * (noise - (x - 0.8 * null))),
    ):
        assert (one_step(sampler, x, both, 0.7, noise) - expected).abs().max() < 1e-14, sampler


def test_plus_plus_without_guidance_is_the_null_step() -> None:
    x, conditional, null, noise = (random(4, seed=n) for n in range(4))
    for plus, plain in (("euler++", "euler"), ("ping-pong++", "ping-pong")):
        step = one_step(plus, x, (conditional, null), 0.0, noise)
        assert (step - one_step(plain, x, (null, None), 1.0, noise)).abs().max() < 1e-14


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 3.0])
def test_guidance_is_linear_between_and_beyond(guidance: float) -> None:
    conditional, null = random(4, seed=1), random(4, seed=2)
    expected = null + guidance * (conditional - null)
    assert (guided(conditional, null, guidance) - expected).abs().max() < 1e-14
    assert torch.equal(guided(conditional, null, 1.0), conditional)


def test_noise_is_the_same_whatever_the_precision() -> None:
    single = gaussian(torch.empty(3, 4), generator(5))
    double = gaussian(torch.empty(3, 4, dtype=torch.float64), generator(5))
    assert torch.equal(single.double(), double)


def test_only_renoising_samplers_draw_and_never_on_the_last_step() -> None:
    x, v = random(4, seed=1), random(4, seed=2)
    for sampler in SAMPLERS:
        numbers = generator()
        before = numbers.get_state()
        sample(lambda *_: (v, v), x, [0.8, 0.0], sampler, 1.0, numbers)
        assert torch.equal(before, numbers.get_state())
        sample(lambda *_: (v, v), x, [0.8, 0.3], sampler, 1.0, numbers)
        assert torch.equal(before, numbers.get_state()) is sampler.startswith("euler")


def test_unknown_sampler_and_missing_null_are_refused() -> None:
    x = random(4, seed=1)
    with pytest.raises(ValueError, match="unknown sampler 'heun'"):
        sample(lambda *_: (x, None), x, [0.8, 0.3], "heun", 1.0, generator())
    for sampler in NEEDS_NULL:
        with pytest.raises(ValueError, match="needs the null"):
            sample(lambda *_: (x, None), x, [0.8, 0.3], sampler, 1.0, generator())


def test_a_rollout_can_take_gradients_of_the_last_step_alone() -> None:
    """Two walks over the grid's two parts are one walk over the whole."""
    grid = logsnr_timesteps(5).tolist()
    noise = random(6, seed=1)
    whole = sample(gaussian_data, noise, grid, "ping-pong", 1.0, generator())
    numbers = generator()
    part = sample(gaussian_data, noise, grid[:-1], "ping-pong", 1.0, numbers)
    assert torch.equal(sample(gaussian_data, part, grid[-2:], "ping-pong", 1.0, numbers), whole)
