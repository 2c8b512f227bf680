"""The rectified-flow path and its timesteps, against their formulas and LMDM's published grid."""

from __future__ import annotations

import pytest
import torch

from lmdm.diffusion.grid import inverse_length_shift, length_shift, logsnr_timesteps
from lmdm.diffusion.path import denoised, interpolate, noise_of, velocity
from tests.laws.network import random


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_velocity_finds_both_ends_of_the_path(t: float) -> None:
    x0, noise = random(2, 6, 3, seed=1), random(2, 6, 3, seed=2)
    x_t, v = interpolate(x0, noise, t), velocity(x0, noise)
    assert (denoised(x_t, v, t) - x0).abs().max() < 1e-14
    assert (noise_of(x_t, v, t) - noise).abs().max() < 1e-14


def test_velocity_is_the_derivative_of_the_path() -> None:
    x0, noise = random(5, seed=1), random(5, seed=2)
    slope = (interpolate(x0, noise, 0.5 + 1e-4) - interpolate(x0, noise, 0.5 - 1e-4)) / 2e-4
    assert (slope - velocity(x0, noise)).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("steps", "published"),
    [(6, [1, 0.9907, 0.9656, 0.8808, 0.6608, 0.3392, 0]), (2, [1, 0.8808, 0])],
)
def test_logsnr_grid_is_the_published_one(steps: int, published: list[float]) -> None:
    assert logsnr_timesteps(steps).tolist() == pytest.approx(published, abs=5e-5)


def test_one_step_goes_from_noise_to_data() -> None:
    assert logsnr_timesteps(1).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="1 or more"):
        logsnr_timesteps(0)


def test_length_shift_adds_to_the_logit_and_is_undone() -> None:
    t = torch.linspace(0.01, 0.99, 33, dtype=torch.float64)
    shifted = length_shift(t, 240)  # shorter than 256 counts as 256
    assert (torch.logit(shifted) - torch.logit(t) - 0.5).abs().max() < 1e-12
    assert (torch.logit(length_shift(t, 4096)) - torch.logit(t) - 1.15).abs().max() < 1e-12
    assert (inverse_length_shift(shifted, 240) - t).abs().max() < 1e-12
