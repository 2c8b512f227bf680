"""Likelihoods by the change of variables against densities in closed form."""

from __future__ import annotations

import pytest
import torch

from lmdm.diffusion import grid
from lmdm.diffusion.gaussian import GaussianData, MixtureData
from lmdm.diffusion.likelihood import (
    exact_divergence,
    hutchinson_divergence,
    log_likelihood,
    log_prior,
)
from lmdm.diffusion.prediction import Kind
from lmdm.diffusion.sampling import sample
from lmdm.diffusion.schedule import EDM, VP, Cosine, RectifiedFlow, Schedule
from lmdm.diffusion.solvers import Heun
from tests.laws.network import random

DATA = GaussianData(0.5, 0.3)


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine()])
def test_log_likelihood_of_gaussians_is_exact(schedule: Schedule) -> None:
    x0 = random(4, 2, seed=1)
    times = grid.uniform_t(schedule, 200, first=1e-3, last=0.999)
    denoiser = DATA.denoiser(schedule, Kind.X0)
    end_density = lambda x: DATA.log_density(x, 0.999, schedule)  # noqa: E731
    found, end = log_likelihood(denoiser, schedule, x0, times, end_density)
    assert (found - DATA.log_density(x0, 1e-3, schedule)).abs().max() < 1e-5
    assert (end - DATA.flow(x0, 1e-3, 0.999, schedule)).abs().max() < 1e-5


def test_log_likelihood_of_a_mixture_from_the_prior() -> None:
    """To nats, with the prior of the schedule itself where the path ends."""
    data = MixtureData(
        torch.tensor([0.4, 0.6], dtype=torch.float64),
        torch.tensor([[-0.8, 0.2], [0.7, -0.5]], dtype=torch.float64),
        0.1,
    )
    schedule = RectifiedFlow()
    x0 = 0.7 * random(5, 2, seed=3)
    times = grid.uniform_t(schedule, 60, first=1e-3)
    found, _ = log_likelihood(data.denoiser(schedule, Kind.X0), schedule, x0, times)
    assert (found - data.log_density(x0, 1e-3, schedule)).abs().max() < 1e-4


def test_hutchinson_is_unbiased_and_exact_for_scalings() -> None:
    matrix = random(3, 3, seed=1)
    x = random(4000, 3, seed=2)
    v, trace = exact_divergence(lambda y: y @ matrix.T, x)
    assert (v - x @ matrix.T).abs().max() == 0
    assert (trace - matrix.trace()).abs().max() < 1e-12
    estimate = hutchinson_divergence(torch.Generator().manual_seed(1))(lambda y: y @ matrix.T, x)[1]
    spread = float(estimate.std()) / 4000**0.5
    assert abs(float(estimate.mean() - matrix.trace())) < 4 * spread


def test_there_and_back() -> None:
    """The flow to the noise (Runge-Kutta) and Heun's flow back meet within its error."""
    schedule = Cosine()
    x0 = random(6, 2, seed=1)
    times = grid.uniform_t(schedule, 400, first=0.01, last=0.99)
    denoiser = DATA.denoiser(schedule, Kind.V)
    _, end = log_likelihood(denoiser, schedule, x0, times)
    back = sample(denoiser, schedule, times, Heun(), end)
    assert (back - x0).abs().max() < 1e-4


def test_prior_is_the_schedule_s() -> None:
    x = random(3, 4, seed=1)
    wanted = torch.distributions.Normal(torch.zeros(1).double(), 80.0).log_prob(x).sum(1)
    assert (log_prior(x, EDM()) - wanted).abs().max() < 1e-12
