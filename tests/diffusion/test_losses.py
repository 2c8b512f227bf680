"""Losses: equal up to a weight in time, and minimal at the posterior mean by its variance."""

from __future__ import annotations

import math

import pytest
import torch

from lmdm.diffusion.gaussian import GaussianData
from lmdm.diffusion.losses import (
    edm_weight,
    equivalent,
    error_ratio,
    log_normal_levels,
    logit_normal_times,
    loss,
    min_snr,
    stratified_times,
    target,
)
from lmdm.diffusion.path import interpolate
from lmdm.diffusion.prediction import Kind, Prediction, SingularTimeError, convert
from lmdm.diffusion.schedule import EDM, SCHEDULES, VP, Cosine, RectifiedFlow, Schedule
from tests.laws.network import random

ALL = [pytest.param(schedule(), id=name) for name, schedule in SCHEDULES.items()]


@pytest.mark.parametrize("schedule", ALL)
def test_errors_of_all_kinds_are_one_error(schedule: Schedule) -> None:
    """‖eps error‖ = (alpha/sigma)‖x0 error‖; score: /sigma; v: Delta/alpha. For any error."""
    clean, noisy = schedule.valid_range
    t = clean + 0.37 * (noisy - clean)
    alpha, sigma, delta = schedule.alpha(t), schedule.sigma(t), schedule.wronskian(t)
    ratios = {
        (Kind.X0, Kind.EPS): (alpha / sigma) ** 2,
        (Kind.EPS, Kind.SCORE): 1 / sigma**2,
        (Kind.EPS, Kind.V): (delta / alpha) ** 2,
    }
    x, right, wrong = (random(6, seed=n) for n in range(3))
    for (source, other), wanted in ratios.items():
        assert error_ratio(source, other, t, schedule) == pytest.approx(wanted, rel=1e-12)
        one, two = (convert(each, source, other, x, t, schedule) for each in (right, wrong))
        found = (one - two).square().sum() / (right - wrong).square().sum()
        assert float(found) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine(), EDM(3.0)])
@pytest.mark.parametrize("kind", list(Kind))
def test_weighted_losses_of_every_kind_are_equal(kind: Kind, schedule: Schedule) -> None:
    """Any kind with its equivalent weight is the eps loss, for a wrong network too."""
    x0, noise = random(5, 3, seed=1), random(5, 3, seed=2)
    t = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    network = lambda x, t: Prediction(torch.tanh(x), Kind.EPS)  # noqa: E731
    wanted = loss(network, schedule, x0, noise, t, Kind.EPS)
    found = loss(network, schedule, x0, noise, t, kind, equivalent(kind, Kind.EPS))
    assert float(found) == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.parametrize("schedule", ALL)
def test_the_least_loss_is_the_posterior_variance(schedule: Schedule) -> None:
    """E‖eps - E[eps | x]‖² = alpha² c/(alpha² c + sigma²) per dimension (Thm 4.2).

    Exactly, by Gauss-Hermite quadrature over x0 and noise; so any other network pays its distance
    to the posterior mean on top (the orthogonality identity).
    """
    import numpy as np

    data = GaussianData(0.4, 0.6)
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(12))
    weights = weights / weights.sum()
    x0 = (data.mean + math.sqrt(data.variance) * nodes)[:, None].expand(12, 12)
    noise = nodes[None].expand(12, 12)
    both = weights[:, None] * weights[None]
    clean, noisy = schedule.valid_range
    for part in (0.1, 0.6):
        t = clean + part * (noisy - clean)
        x = interpolate(x0, noise, t, schedule)
        best = data.eps(x, t, schedule)
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        least = float((both * (noise - best).square()).sum())
        wanted = alpha**2 * data.variance / (alpha**2 * data.variance + sigma**2)
        assert least == pytest.approx(wanted, rel=1e-10, abs=1e-12)
        other = 0.3 * x - 0.2
        conditional = float((both * (noise - other).square()).sum())
        marginal = float((both * (best - other).square()).sum())
        assert conditional == pytest.approx(marginal + least, rel=1e-10)


def test_weights_in_closed_form() -> None:
    t = torch.tensor([0.2, 0.9], dtype=torch.float64)
    snr = ((1 - t) / t) ** 2
    assert torch.allclose(torch.as_tensor(min_snr(5.0)(t, RectifiedFlow())), snr.clamp(max=5))
    level = t / (1 - t)
    wanted = (level**2 + 0.25) / (level * 0.5) ** 2
    assert torch.allclose(torch.as_tensor(edm_weight()(t, RectifiedFlow())), wanted)
    ratio = torch.as_tensor(error_ratio(Kind.X0, Kind.EDM_F, t, RectifiedFlow()))
    assert torch.allclose(wanted, ratio)  # the unweighted loss of F is EDM's loss


def test_targets_are_infinite_where_the_kind_is() -> None:
    x0, noise = random(2, seed=1), random(2, seed=2)
    for kind in (Kind.SCORE, Kind.V):
        with pytest.raises(SingularTimeError, match="keep t above"):
            target(kind, x0, noise, 0.0, VP())
    assert torch.equal(target(Kind.V, x0, noise, 0.3, RectifiedFlow()), noise - x0)


def test_times_fill_their_strata_and_levels_their_law() -> None:
    numbers = torch.Generator().manual_seed(1)
    t = stratified_times(64, numbers, 0.1, 0.9)
    strata = ((t - 0.1) / 0.8 * 64).floor().long().sort().values
    assert strata.tolist() == list(range(64))
    assert float(torch.logit(logit_normal_times(20000, numbers, 0.5, 2.0)).mean()) == pytest.approx(
        0.5, abs=0.08
    )
    levels = torch.log(log_normal_levels(20000, EDM(), numbers))
    assert float(levels.mean()) == pytest.approx(-1.2, abs=0.05)
    assert float(levels.std()) == pytest.approx(1.2, abs=0.05)
