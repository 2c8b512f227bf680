"""Closed-form data against its own equations: Fokker-Planck, exact flow, posterior means."""

from __future__ import annotations

import math

import pytest
import torch

from lmdm.diffusion.gaussian import GaussianData, MixtureData
from lmdm.diffusion.prediction import Kind
from lmdm.diffusion.schedule import EDM, SCHEDULES, VP, Cosine, RectifiedFlow, Schedule
from tests.laws.network import random

DATA = GaussianData(mean=-0.7, variance=0.4)
ALL = [pytest.param(schedule(), id=name) for name, schedule in SCHEDULES.items()]
MIXTURE = MixtureData(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.0], [0.8]], dtype=torch.float64),
    0.09,
)


def fourth_order(function: object, at: float, h: float) -> torch.Tensor:
    assert callable(function)
    near = function(at + h) - function(at - h)
    return (8 * near - (function(at + 2 * h) - function(at - 2 * h))) / (12 * h)


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("kind", list(Kind))
def test_perfect_networks_of_every_kind_say_the_same(kind: Kind, schedule: Schedule) -> None:
    x = random(4, 3, seed=1)
    clean, noisy = schedule.valid_range
    for part in (0.1, 0.5, 0.9):
        t = clean + part * (noisy - clean)
        prediction = DATA.denoiser(schedule, kind)(x, t)
        assert prediction.kind is kind
        score = prediction.to(Kind.SCORE, x, t, schedule).value
        wanted = DATA.score(x, t, schedule)
        assert (score - wanted).abs().max() <= 1e-10 * (1 + wanted.abs().max())
        x0 = prediction.x0(x, t, schedule)
        assert (x0 - DATA.x0(x, t, schedule)).abs().max() < 1e-10


@pytest.mark.parametrize("schedule", ALL)
def test_a_mixture_of_one_is_a_gaussian(schedule: Schedule) -> None:
    one = MixtureData(
        torch.ones(1, dtype=torch.float64), torch.full((1, 3), -0.7, dtype=torch.float64), 0.4
    )
    x = random(5, 3, seed=1)
    t = 0.3 * schedule.valid_range[1]
    assert (one.score(x, t, schedule) - DATA.score(x, t, schedule)).abs().max() < 1e-12
    assert (one.x0(x, t, schedule) - DATA.x0(x, t, schedule)).abs().max() < 1e-12
    assert (one.log_density(x, t, schedule) - DATA.log_density(x, t, schedule)).abs().max() < 1e-12


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine(), EDM(3.0)])
def test_mixture_score_is_the_gradient_and_tweedie_holds(schedule: Schedule) -> None:
    """score = grad log p_t = (alpha E[x0 | x] - x)/sigma^2: Fisher's identity and Tweedie."""
    x = torch.linspace(-3, 3, 31, dtype=torch.float64)[:, None].requires_grad_(True)
    for t in (0.2, 0.6):
        (slope,) = torch.autograd.grad(MIXTURE.log_density(x, t, schedule).sum(), x)
        assert (MIXTURE.score(x, t, schedule) - slope).abs().max() < 1e-11
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        tweedie = (alpha * MIXTURE.x0(x, t, schedule) - x) / sigma**2
        assert (tweedie - slope).abs().max() < 1e-11


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine(), EDM(3.0)])
def test_mixture_density_obeys_the_fokker_planck_equation(schedule: Schedule) -> None:
    """dp/dt = -(f x p)' + g2/2 p'' by finite differences on a line."""

    def density(t: float, x: torch.Tensor) -> torch.Tensor:
        return MIXTURE.log_density(x[:, None], t, schedule).exp()

    x, t = torch.linspace(-2, 2, 21, dtype=torch.float64), 0.45
    by_time = fourth_order(lambda u: density(u, x), t, 1e-4)
    drift = fourth_order(lambda d: schedule.f(t) * (x + d) * density(t, x + d), 0.0, 1e-3)
    h = 2e-3
    curve = -density(t, x + 2 * h) - density(t, x - 2 * h) - 30 * density(t, x)
    curve = (curve + 16 * (density(t, x + h) + density(t, x - h))) / (12 * h * h)
    residual = by_time + drift - 0.5 * schedule.g2(t) * curve
    assert residual.abs().max() < 1e-6 * (1 + by_time.abs().max())


@pytest.mark.parametrize("schedule", ALL)
def test_exact_flow_solves_the_ode(schedule: Schedule) -> None:
    """Its slope in s is the velocity, and going back returns."""
    x = random(5, 1, seed=1)
    clean, noisy = schedule.valid_range
    t, s = (clean + part * (noisy - clean) for part in (0.8, 0.3))
    y = DATA.flow(x, t, s, schedule)
    slope = fourth_order(lambda u: DATA.flow(x, t, u, schedule), s, 1e-4 * (noisy - clean))
    v = DATA.denoiser(schedule)(y, s).v(y, s, schedule)
    assert (slope - v).abs().max() < 1e-7 * (1 + v.abs().max())
    assert (DATA.flow(y, s, t, schedule) - x).abs().max() < 1e-10 * (1 + x.abs().max())


def test_starting_from_the_prior_costs_what_alpha_leaves() -> None:
    """KL(p_1 || N(0, 1)) by quadrature; 0 where the path ends at the prior."""
    assert DATA.prior_divergence(RectifiedFlow()) == 0.0
    schedule = VP(0.1, 5.0)
    x = torch.linspace(-9, 9, 20001, dtype=torch.float64)[:, None]
    log_p = DATA.log_density(x, 1.0, schedule)
    log_q = -0.5 * (x[:, 0] ** 2 + math.log(2 * math.pi))
    by_sum = float((log_p.exp() * (log_p - log_q)).sum() * (x[1] - x[0]))
    assert DATA.prior_divergence(schedule) == pytest.approx(by_sum, rel=1e-6)
    assert by_sum > 0.001
