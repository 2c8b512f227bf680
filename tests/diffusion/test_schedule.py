"""Every schedule against its definition: derivatives, SDE coefficients, log-SNR and back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lmdm.diffusion.schedule import (
    EDM,
    SCHEDULES,
    VE,
    VP,
    Cosine,
    RectifiedFlow,
    Schedule,
    validate,
)
from lmdm.errors import InputError

ALL = [pytest.param(schedule(), id=name) for name, schedule in SCHEDULES.items()]


def inside(schedule: Schedule, points: int = 41) -> Tensor:
    """Times well inside a schedule's range."""
    first, last = schedule.valid_range
    return first + (last - first) * torch.linspace(0.02, 0.98, points, dtype=torch.float64)


def slope(function: object, t: Tensor, h: float) -> Tensor:
    """Derivative by central differences of fourth order."""
    assert callable(function)
    near, far = function(t + h) - function(t - h), function(t + 2 * h) - function(t - 2 * h)
    return (8 * near - far) / (12 * h)


@pytest.mark.parametrize("schedule", ALL)
def test_derivatives_are_those_of_alpha_and_sigma(schedule: Schedule) -> None:
    t = inside(schedule)
    h = 1e-4 * (schedule.valid_range[1] - schedule.valid_range[0])
    for value, derivative in (
        (schedule.alpha, schedule.dalpha),
        (schedule.sigma, schedule.dsigma),
    ):
        found = torch.as_tensor(derivative(t))
        assert ((slope(value, t, h) - found).abs() <= 1e-8 * (1 + found.abs())).all()


@pytest.mark.parametrize("schedule", ALL)
def test_sde_coefficients_follow_from_the_path(schedule: Schedule) -> None:
    """f = alpha'/alpha; g2 = (sigma^2)' - 2 f sigma^2 = -2 sigma^2 lambda'; Delta; all of them."""
    t = inside(schedule)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    dalpha, dsigma = schedule.dalpha(t), schedule.dsigma(t)
    f, g2 = torch.as_tensor(schedule.f(t)), torch.as_tensor(schedule.g2(t))
    assert (f - dalpha / alpha).abs().max() < 1e-12
    scale = 1 + g2.abs()
    assert ((g2 - (2 * sigma * dsigma - 2 * f * sigma**2)).abs() / scale).max() < 1e-12
    dlambda = dalpha / alpha - dsigma / sigma
    assert ((g2 + 2 * sigma**2 * dlambda).abs() / scale).max() < 1e-12
    assert (schedule.wronskian(t) - (alpha * dsigma - sigma * dalpha)).abs().max() < 1e-12
    assert (g2 >= 0).all()


@pytest.mark.parametrize("schedule", ALL)
def test_the_velocity_matrix_is_inverted(schedule: Schedule) -> None:
    """(x, v) = [[alpha, sigma], [alpha', sigma']] (x0, eps), there and back."""
    t = inside(schedule)
    on_x0, on_eps = schedule.x0_of_velocity(t), schedule.eps_of_velocity(t)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    dalpha, dsigma = schedule.dalpha(t), schedule.dsigma(t)
    for row, of_x0, of_eps in ((on_x0, 1, 0), (on_eps, 0, 1)):
        assert (row[0] * alpha + row[1] * dalpha - of_x0).abs().max() < 1e-11
        assert (row[0] * sigma + row[1] * dsigma - of_eps).abs().max() < 1e-11


@pytest.mark.parametrize("schedule", ALL)
def test_lambda_is_the_half_log_snr_and_is_undone(schedule: Schedule) -> None:
    t = inside(schedule)
    lambda_ = torch.as_tensor(schedule.lambda_(t))
    expected = torch.log(torch.as_tensor(schedule.alpha(t) / schedule.sigma(t)))
    assert (lambda_ - expected).abs().max() < 1e-12
    back = torch.as_tensor(schedule.t_of_lambda(lambda_))
    assert ((back - t).abs() / schedule.valid_range[1]).max() < 1e-12
    validate(schedule)


@pytest.mark.parametrize("schedule", ALL)
def test_numbers_and_tensors_give_the_same(schedule: Schedule) -> None:
    t = float(inside(schedule)[7])
    for name in ("alpha", "sigma", "dalpha", "dsigma", "f", "g2", "lambda_", "wronskian"):
        function = getattr(schedule, name)
        number, tensor = function(t), function(torch.tensor(t, dtype=torch.float64))
        assert isinstance(number, float), name
        assert tensor.dtype == torch.float64
        assert number == pytest.approx(float(tensor), rel=1e-14), name


@pytest.mark.parametrize("schedule", ALL)
def test_ends_are_exact(schedule: Schedule) -> None:
    """Clean at the first time; at the last, the prior's deviation up to what alpha leaves."""
    first, last = schedule.valid_range
    assert schedule.alpha(first) == 1.0
    assert schedule.sigma(first) == (schedule.sigma_min if isinstance(schedule, VE) else 0.0)
    assert schedule.sigma(last) == pytest.approx(schedule.prior_std, rel=1e-4)
    if isinstance(schedule, RectifiedFlow | Cosine):
        assert schedule.alpha(last) == 0.0


def test_closed_forms_of_the_table() -> None:
    """Coefficients of the tutorial's instances, written out (dossier B §3)."""
    t = 0.37
    assert VP().alpha(t) == pytest.approx(math.exp(-0.5 * (0.1 * t + 9.95 * t * t)), rel=1e-14)
    assert VP().f(t) == pytest.approx(-0.5 * (0.1 + 19.9 * t), rel=1e-14)
    assert VE().g2(t) == pytest.approx(2 * (0.01 * 5000**t) ** 2 * math.log(5000), rel=1e-13)
    assert EDM().g2(3.0) == pytest.approx(6.0, rel=1e-14)
    assert RectifiedFlow().f(t) == pytest.approx(-1 / (1 - t), rel=1e-14)
    assert RectifiedFlow().g2(t) == pytest.approx(2 * t / (1 - t), rel=1e-14)
    assert Cosine().f(t) == pytest.approx(-math.pi / 2 * math.tan(math.pi * t / 2), rel=1e-13)
    assert Cosine().g2(t) == pytest.approx(math.pi * math.tan(math.pi * t / 2), rel=1e-13)


def test_ends_are_infinite_where_they_are_so() -> None:
    assert RectifiedFlow().f(1.0) == -math.inf
    assert RectifiedFlow().lambda_(0.0) == math.inf
    assert RectifiedFlow().lambda_(1.0) == -math.inf
    assert VP().dsigma(0.0) == math.inf
    assert VP().x0_of_velocity(0.0) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: VP(beta_min=0.0), "0 < beta_min"),
        (lambda: VP(beta_min=3.0, beta_max=1.0), "beta_max 1"),
        (lambda: VE(sigma_min=2.0, sigma_max=1.0), "sigma_min 2"),
        (lambda: EDM(sigma_max=-1.0), "above 0"),
    ],
)
def test_wrong_parameters_are_refused(make: object, wrong: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=wrong):
        make()


class Rising(RectifiedFlow):
    """A schedule whose log-SNR rises with time: the generative direction, here a mistake."""

    def alpha(self, t: float | Tensor) -> float | Tensor:
        return t

    def sigma(self, t: float | Tensor) -> float | Tensor:
        return 1 - t


def test_a_schedule_that_runs_backwards_is_refused() -> None:
    with pytest.raises(InputError, match="must fall"):
        validate(Rising())
