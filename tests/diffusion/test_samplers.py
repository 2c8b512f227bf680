"""Samplers against what is known without a network: exact ends, identities, order, moments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lmdm.diffusion import samplers
from lmdm.diffusion.grid import logsnr_timesteps
from lmdm.diffusion.path import interpolate, velocity
from lmdm.diffusion.samplers import SAMPLERS, Velocities, sample, sampler_step
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


def test_euler_follows_a_straight_path_exactly() -> None:
    x0, noise = random(4, seed=1), random(4, seed=2)
    middle = samplers.euler_step(interpolate(x0, noise, 0.9), velocity(x0, noise), 0.9, 0.4)
    assert (middle - interpolate(x0, noise, 0.4)).abs().max() < 1e-14


def test_euler_is_of_first_order_on_gaussian_data() -> None:
    """The exact flow scales deviations from the mean: at t = 0 from 1 to SPREAD."""
    noise = random(1000, seed=3)
    exact = MEAN + SPREAD * noise
    errors = []
    for steps in (50, 100, 200):
        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64).tolist()
        end = sample(gaussian_data, noise, grid, "euler", 1.0, generator())
        errors.append(float((end - exact).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def test_ping_pong_keeps_the_marginal_of_what_it_renoises() -> None:
    """From x0 and fresh noise the step gives x_t_next exactly as the path has it."""
    x0, noise, fresh = random(4, seed=1), random(4, seed=2), random(4, seed=3)
    x_t, v = interpolate(x0, noise, 0.8), velocity(x0, noise)
    step = samplers.ping_pong_step(x_t, v, 0.8, 0.3, fresh)
    assert (step - interpolate(x0, fresh, 0.3)).abs().max() < 1e-14


def test_plus_plus_without_guidance_is_the_null_step() -> None:
    x, conditional, null, noise = (random(4, seed=n) for n in range(4))
    euler = samplers.euler_plus_plus_step(x, conditional, null, 0.8, 0.3, 0.0)
    assert (euler - samplers.euler_step(x, null, 0.8, 0.3)).abs().max() < 1e-14
    ping = samplers.ping_pong_plus_plus_step(x, conditional, null, 0.8, 0.3, 0.0, noise)
    assert (ping - samplers.ping_pong_step(x, null, 0.8, 0.3, noise)).abs().max() < 1e-14


def test_plus_plus_is_the_published_formula() -> None:
    """x0(lambda) + t_next (noise - x0(null)), with x0(lambda) from the guided velocity."""
    x, conditional, null, noise = (random(4, seed=n) for n in range(4))
    guided = x - 0.8 * (null + 0.7 * (conditional - null))
    expected = guided + 0.3 * (noise - (x - 0.8 * null))
    step = samplers.ping_pong_plus_plus_step(x, conditional, null, 0.8, 0.3, 0.7, noise)
    assert (step - expected).abs().max() < 1e-14


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 3.0])
def test_guidance_is_linear_between_and_beyond(guidance: float) -> None:
    conditional, null = random(4, seed=1), random(4, seed=2)
    expected = null + guidance * (conditional - null)
    assert (samplers.guided(conditional, null, guidance) - expected).abs().max() < 1e-14
    assert torch.equal(samplers.guided(conditional, null, 1.0), conditional)


def test_noise_is_the_same_whatever_the_precision() -> None:
    single = samplers.gaussian(torch.empty(3, 4), generator(5))
    double = samplers.gaussian(torch.empty(3, 4, dtype=torch.float64), generator(5))
    assert torch.equal(single.double(), double)


def test_only_renoising_samplers_draw() -> None:
    x, v = random(4, seed=1), random(4, seed=2)
    for sampler, draws in (("euler", False), ("euler++", False), ("ping-pong", True)):
        numbers = generator()
        before = numbers.get_state()
        sampler_step(sampler, x, (v, v), 0.8, 0.3, 1.0, numbers)
        assert torch.equal(before, numbers.get_state()) is not draws


def test_unknown_sampler_and_missing_null_are_refused() -> None:
    x = random(4, seed=1)
    with pytest.raises(ValueError, match="unknown sampler 'heun'"):
        sampler_step("heun", x, (x, None), 0.8, 0.3, 1.0, generator())
    with pytest.raises(ValueError, match="needs the null"):
        sampler_step("ping-pong++", x, (x, None), 0.8, 0.3, 1.0, generator())


def test_a_rollout_can_take_gradients_of_the_last_step_alone() -> None:
    """Two walks over the grid's two parts are one walk over the whole."""
    grid = logsnr_timesteps(5).tolist()
    noise = random(6, seed=1)
    whole = sample(gaussian_data, noise, grid, "ping-pong", 1.0, generator())
    numbers = generator()
    part = sample(gaussian_data, noise, grid[:-1], "ping-pong", 1.0, numbers)
    assert torch.equal(sample(gaussian_data, part, grid[-2:], "ping-pong", 1.0, numbers), whole)
