"""Conversions between prediction kinds: exact in float64, both ways, ends included."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from lmdm.diffusion.path import denoised, interpolate, noise_of, velocity
from lmdm.diffusion.prediction import (
    Kind,
    Prediction,
    SingularTimeError,
    conversion,
    convert,
    line,
)
from lmdm.diffusion.schedule import EDM, SCHEDULES, VP, Cosine, RectifiedFlow, Schedule
from tests.laws.network import random

ALL = [pytest.param(schedule(), id=name) for name, schedule in SCHEDULES.items()]


def true_value(kind: Kind, x0: Tensor, eps: Tensor, t: float, schedule: Schedule) -> Tensor:
    """The kind's own definition, written as its literature does."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if kind is Kind.EDM_F:
        level, y = sigma / alpha, x0 + sigma / alpha * eps
        skip = 0.25 / (level**2 + 0.25)
        return (x0 - skip * y) / (level * 0.5 / math.sqrt(level**2 + 0.25))
    return {
        Kind.EPS: eps,
        Kind.X0: x0,
        Kind.V: schedule.dalpha(t) * x0 + schedule.dsigma(t) * eps,
        Kind.SCORE: -eps / sigma,
        Kind.VP_V: alpha * eps - sigma * x0,
    }[kind]


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize(("source", "target"), list(permutations(Kind, 2)))
def test_every_kind_becomes_every_other(source: Kind, target: Kind, schedule: Schedule) -> None:
    x0, eps = random(3, 5, seed=1), random(3, 5, seed=2)
    first, last = schedule.valid_range
    for part in (0.05, 0.3, 0.6, 0.95):
        t = first + part * (last - first)
        x = interpolate(x0, eps, t, schedule)
        value = true_value(source, x0, eps, t, schedule)
        expected = true_value(target, x0, eps, t, schedule)
        found = convert(value, source, target, x, t, schedule)
        assert (found - expected).abs().max() <= 1e-10 * (1 + expected.abs().max())
        back = convert(found, target, source, x, t, schedule)
        assert (back - value).abs().max() <= 1e-10 * (1 + value.abs().max())


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_line_is_what_a_kind_means(kind: Kind, schedule: Schedule) -> None:
    t = schedule.valid_range[0] + 0.4 * (schedule.valid_range[1] - schedule.valid_range[0])
    x0, eps = random(4, seed=1), random(4, seed=2)
    on_x0, on_eps = line(kind, t, schedule)
    expected = true_value(kind, x0, eps, t, schedule)
    assert (on_x0 * x0 + on_eps * eps - expected).abs().max() < 1e-12 * (1 + expected.abs().max())


@pytest.mark.parametrize("schedule", ALL)
def test_velocity_and_score_obey_the_drift(schedule: Schedule) -> None:
    """v = f x - g2/2 score: the probability-flow ODE (dossier B §2)."""
    first, last = schedule.valid_range
    x, score = random(6, seed=1), random(6, seed=2)
    for part in (0.1, 0.5, 0.9):
        t = first + part * (last - first)
        v = convert(score, Kind.SCORE, Kind.V, x, t, schedule)
        expected = schedule.f(t) * x - 0.5 * schedule.g2(t) * score
        assert (v - expected).abs().max() <= 1e-12 * (1 + expected.abs().max())


def test_one_time_a_row() -> None:
    """t [B] is one time for each row of x [B, ...]."""
    schedule, t = Cosine(), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    x, value = random(3, 4, 5, seed=1), random(3, 4, 5, seed=2)
    batch = convert(value, "vp_v", "x0", x, t, schedule)
    for row in range(3):
        alone = convert(value[row], "vp_v", "x0", x[row], float(t[row]), schedule)
        assert (batch[row] - alone).abs().max() < 1e-14


def test_precision_is_that_of_x() -> None:
    t = torch.tensor([0.1, 0.5], dtype=torch.float64)
    assert convert(torch.ones(2, 3), "v", "x0", torch.ones(2, 3), t, VP()).dtype == torch.float32


@pytest.mark.parametrize(
    ("schedule", "t", "source", "target"),
    [
        (RectifiedFlow(), 1.0, "eps", "x0"),  # alpha = 0: the noise says nothing of the data
        (RectifiedFlow(), 1.0, "eps", "v"),
        (Cosine(), 1.0, "score", "x0"),
        (RectifiedFlow(), 0.0, "x0", "eps"),  # sigma = 0: the data says nothing of the noise
        (RectifiedFlow(), 0.0, "x0", "v"),
        (VP(), 0.0, "eps", "v"),  # sigma' is infinite
        (VP(), 0.0, "eps", "score"),
        (EDM(), 0.0, "x0", "score"),
        (RectifiedFlow(), torch.tensor([0.5, 1.0]), "eps", "x0"),
    ],
)
def test_singular_ends_are_refused(
    schedule: Schedule, t: float | Tensor, source: str, target: str
) -> None:
    with pytest.raises(SingularTimeError, match="singular there"):
        convert(torch.ones(2), source, target, torch.ones(2), t, schedule)


@pytest.mark.parametrize("schedule", [VP(), EDM(), RectifiedFlow(), Cosine()])  # VE has no such end
@pytest.mark.parametrize("kind", [Kind.EPS, Kind.V, Kind.VP_V, Kind.EDM_F])
def test_at_the_clean_end_x_is_the_data(kind: Kind, schedule: Schedule) -> None:
    """Without a division by sigma, whatever the network says there."""
    x, value = random(4, seed=1), random(4, seed=2)
    assert torch.equal(Prediction(value, kind).x0(x, 0.0, schedule), x)


@pytest.mark.parametrize("schedule", [RectifiedFlow(), Cosine()])
@pytest.mark.parametrize("kind", [Kind.X0, Kind.V, Kind.VP_V, Kind.EDM_F])
def test_at_the_noisy_end_x_is_the_noise(kind: Kind, schedule: Schedule) -> None:
    x, value = random(4, seed=1), random(4, seed=2)
    assert (Prediction(value, kind).eps(x, 1.0, schedule) - x).abs().max() < 1e-15
    assert torch.isfinite(Prediction(value, kind).x0(x, 1.0, schedule)).all()


def test_vp_v_is_the_velocity_of_the_trigonometric_path_by_angle() -> None:
    """v = pi/2 vp_v for alpha = cos(pi t/2); on no other schedule here are they proportional."""
    x, value = random(4, seed=1), random(4, seed=2)
    found = convert(value, "vp_v", "v", x, 0.3, Cosine())
    assert (found - math.pi / 2 * value).abs().max() < 1e-14
    on_x, _ = conversion("vp_v", "v", 0.3, RectifiedFlow())
    assert abs(float(on_x)) > 0.1


def test_paths_have_velocities_of_every_schedule() -> None:
    x0, noise = random(2, 3, seed=1), random(2, 3, seed=2)
    for schedule in (VP(), Cosine(), RectifiedFlow()):
        x = interpolate(x0, noise, 0.4, schedule)
        v = velocity(x0, noise, 0.4, schedule)
        assert (denoised(x, v, 0.4, schedule) - x0).abs().max() < 1e-13
        assert (noise_of(x, v, 0.4, schedule) - noise).abs().max() < 1e-13


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="'flow' is not a valid Kind"):
        convert(torch.ones(1), "flow", "x0", torch.ones(1), 0.5, VP())
