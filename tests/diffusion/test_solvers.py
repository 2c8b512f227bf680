"""Solvers on Gaussian data, whose law is propagated exactly: orders, identities, no Monte Carlo."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lmdm.diffusion import grid
from lmdm.diffusion.dynamics import diffusion, frozen_noise_step, reverse_drift
from lmdm.diffusion.gaussian import AffineMap, GaussianData, propagate
from lmdm.diffusion.prediction import Kind, Prediction, SingularTimeError
from lmdm.diffusion.sampling import evaluations, sample
from lmdm.diffusion.schedule import EDM, SCHEDULES, VE, VP, Cosine, RectifiedFlow, Schedule
from lmdm.diffusion.solvers import (
    DDIM,
    DDPM,
    DDIMPlusPlus,
    DPMpp2M,
    EDMHeun,
    Euler,
    EulerPlusPlus,
    Heun,
    PingPong,
    Solver,
    Walk,
)
from tests.laws.network import random

DATA = GaussianData(mean=1.3, variance=0.25)
FIRST = 1e-3  # the tutorial's table ends here
ALL = [pytest.param(schedule(), id=name) for name, schedule in SCHEDULES.items()]


def error(solver: Solver, schedule: Schedule, times: torch.Tensor) -> float:
    """|Var - V|/V at the end of a walk that starts from the exact marginal."""
    mean, variance = DATA.marginal(float(times[0]), schedule)
    _, found = propagate(DATA, schedule, times, solver).of(mean, variance)
    _, wanted = DATA.marginal(float(times[-1]), schedule)
    return abs(found - wanted) / wanted


TABLE = {  # dossier B §5: VP 0.1..20, uniform t, to t = 1e-3; N = 50, 100, 200, 400, 800
    "euler": (Euler(), 1, (1.66e-2, 8.7e-3, 4.5e-3, 2.3e-3, 1.1e-3)),
    "heun": (Heun(), 2, (2.1e-3, 5.5e-4, 1.4e-4, 3.5e-5, 8.7e-6)),
    "ddim": (DDIM(), 1, (1.07e-1, 5.5e-2, 2.8e-2, 1.4e-2, 7.1e-3)),
    "euler-maruyama": (Euler(ell=1.0), 1, (3.3e-2, 1.5e-2, 7.4e-3, 3.6e-3, 1.8e-3)),
    "ddpm": (DDPM(), 1, (2.1e-1, 1.2e-1, 6.8e-2, 3.6e-2, 1.9e-2)),
}


@pytest.mark.parametrize("name", TABLE)
def test_errors_are_the_table_s(name: str) -> None:
    solver, _, errors = TABLE[name]
    for steps, wanted in zip((50, 100, 200, 400), errors, strict=False):
        found = error(solver, VP(), grid.uniform_t(VP(), steps, first=FIRST))
        assert found == pytest.approx(wanted, rel=0.04), steps


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (Euler(), 1), (Heun(), 2), (DDIM(), 1), (DDIM(eta=0.5), 1), (DDPM(), 1), (DPMpp2M(), 2),
        (EDMHeun(), 2), (Euler(ell=1.0), 1), (Euler(ell=lambda t: 0.5 + 0.5 * t), 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine()])
def test_orders(solver: Solver, order: int, schedule: Schedule) -> None:
    """Measured order within 0.15 of the theory's, by doubling the steps."""
    last = 0.9 if isinstance(schedule, RectifiedFlow | Cosine) else 1.0  # g2 is infinite at 1
    errors = [
        error(solver, schedule, grid.uniform_t(schedule, steps, first=0.02, last=last))
        for steps in (200, 400)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("schedule", [VE(0.05, 5.0), EDM(5.0)])
@pytest.mark.parametrize(("solver", "order"), [(DDIM(), 1), (EDMHeun(), 2), (DPMpp2M(), 2)])
def test_orders_on_edm_s_grid(solver: Solver, order: int, schedule: Schedule) -> None:
    """Where the time is a noise level: grid by rho = 7."""
    errors = [
        error(solver, schedule, grid.edm_rho(schedule, steps, 0.05, 5.0)) for steps in (200, 400)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def maps_agree(one: AffineMap, other: AffineMap) -> float:
    """Largest difference of two affine maps."""
    noise = [abs(a - b) for a, b in zip(one.noise, other.noise, strict=True)]
    return max(abs(one.gain - other.gain), abs(one.shift - other.shift), *noise, 0.0)


@pytest.mark.parametrize("schedule", ALL)
def test_ddim_with_eta_1_is_ddpm_coefficient_by_coefficient(schedule: Schedule) -> None:
    clean, noisy = schedule.valid_range
    times = grid.uniform_t(schedule, 12, clean, clean + 0.95 * (noisy - clean))
    ddim, ddpm = (propagate(DATA, schedule, times, each) for each in (DDIM(eta=1.0), DDPM()))
    assert len(ddpm.noise) == (12 if isinstance(schedule, VE) else 11)  # VE never gets to sigma = 0
    assert maps_agree(ddim, ddpm) < 1e-12


def test_ddpm_is_the_published_chain_on_vp() -> None:
    """mean (x - b eps/sqrt(1 - abar))/sqrt a, variance (1 - abar')/(1 - abar) b (2006.11239)."""
    schedule = VP()
    bars, betas = grid.ddpm_chain(schedule, torch.linspace(0, 1, 21, dtype=torch.float64))
    x, eps, z = (random(5, seed=n) for n in range(3))
    for k in (20, 11, 2, 1):
        bar, b = float(bars[k - 1]), float(betas[k - 1])
        before = float(bars[k - 2]) if k > 1 else 1.0
        variance = (1 - before) / (1 - bar) * b
        wanted = (x - b / math.sqrt(1 - bar) * eps) / math.sqrt(1 - b) + math.sqrt(variance) * z
        walk = Walk(schedule, lambda like: z)
        found = DDPM().advance(x, k / 20, (k - 1) / 20, Prediction(eps, Kind.EPS), walk)
        assert (found - wanted).abs().max() < 1e-12
    integral = schedule.integral(0.55) - schedule.integral(0.5)  # b goes through the integral
    assert float(betas[10]) == pytest.approx(-math.expm1(-integral), rel=1e-12)
    assert abs(float(betas[10]) - schedule.beta(0.55) / 20) > 0.05


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine(), VE()])
def test_ddim_solves_the_ode_for_a_frozen_eps(schedule: Schedule) -> None:
    """Prop. 5.1's exponential integrator with h = lambda_s - lambda_t."""
    x, eps = random(5, seed=1), random(5, seed=2)
    walk = Walk(schedule, lambda like: like)
    for t, s in ((0.9, 0.7), (0.5, 0.1)):
        ddim = DDIM().advance(x, t, s, Prediction(eps, Kind.EPS), walk)
        assert (ddim - frozen_noise_step(x, t, s, eps, schedule)).abs().max() < 1e-12


def test_euler_on_straight_paths_is_ddim() -> None:
    """On rectified flow in t, and on EDM in the noise level: the same map, step for step."""
    times = grid.uniform_t(RectifiedFlow(), 20)
    euler, ddim = (
        propagate(DATA, RectifiedFlow(), times, each, Kind.V) for each in (Euler(), DDIM())
    )
    assert maps_agree(euler, ddim) < 1e-14
    levels = grid.to_clean(grid.edm_rho(EDM(), 20), EDM())
    euler, ddim = (propagate(DATA, EDM(), levels, each) for each in (Euler(), DDIM()))
    assert maps_agree(euler, ddim) < 1e-13
    heun, karras = (propagate(DATA, EDM(), levels, each) for each in (Heun(), EDMHeun()))
    assert maps_agree(heun, karras) < 1e-13


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("ell", [0.0, 0.5, 1.0, 2.0])
def test_every_member_of_the_family_keeps_the_marginals(schedule: Schedule, ell: float) -> None:
    """Mean and variance of the family's SDE follow the path's: the residual is 0 (dossier B §2).

    V' = 2 [f + (1 + ell^2)/2 g2/V] V - ell^2 g2, read from `reverse_drift` and `diffusion`.
    """
    clean, noisy = schedule.valid_range
    for part in (0.1, 0.4, 0.9):
        t = clean + part * (noisy - clean)
        mean, variance = (float(each) for each in DATA.marginal(t, schedule))
        x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        prediction = DATA.denoiser(schedule, Kind.EPS)(x, t)
        zero, one = reverse_drift(prediction, x, t, schedule, ell).flatten().tolist()
        alpha, dalpha = schedule.alpha(t), schedule.dalpha(t)
        dvariance = 2 * alpha * dalpha * DATA.variance + 2 * schedule.sigma(t) * schedule.dsigma(t)
        rate = 2 * (one - zero) * variance - diffusion(t, schedule, ell) ** 2
        assert rate == pytest.approx(dvariance, rel=1e-10, abs=1e-10)
        drift_of_mean = zero + (one - zero) * mean
        assert drift_of_mean == pytest.approx(dalpha * DATA.mean, rel=1e-10, abs=1e-9)


def test_members_agree_in_the_limit() -> None:
    """One-time laws of all ell meet as N grows: the widest gap falls like 1/N."""
    gaps = []
    for steps in (100, 400):
        times = grid.uniform_t(VP(), steps, first=FIRST)
        begin = DATA.marginal(1.0, VP())
        ends = [propagate(DATA, VP(), times, Euler(ell)).of(*begin)[1] for ell in (0.0, 0.5, 1.0)]
        gaps.append(max(ends) - min(ends))
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("schedule", [VP(), EDM(), RectifiedFlow(), Cosine()])
@pytest.mark.parametrize("solver", [DDIM(), DDPM(), DPMpp2M(), PingPong(), EDMHeun()])
def test_the_last_step_is_the_clean_data_without_noise(solver: Solver, schedule: Schedule) -> None:
    """One piece of data: every solver but Euler's in t ends at it, whatever noise it drew."""
    x0 = random(3, seed=1)
    clean, noisy = schedule.valid_range
    times = grid.uniform_t(schedule, 5, clean, clean + 0.9 * (noisy - clean))
    ends = []
    end = sample(
        lambda x, t: Prediction(x0, Kind.X0), schedule, times, solver, random(3, seed=2),
        noise=lambda like: random(3, seed=len(ends)),
        on_step=lambda s, x: ends.append(s),
    )  # fmt: skip
    assert (end - x0).abs().max() < 1e-13
    assert ends == times[1:].tolist()


def test_churn_keeps_the_law_and_draws_fresh_noise() -> None:
    """Karras et al.'s churn: still near the exact variance, now with noise in every step."""
    schedule = EDM(10.0)
    levels = grid.edm_rho(schedule, 200, 0.05, 10.0)
    still, churned = EDMHeun(), EDMHeun.churned(s_churn=40.0, steps=200)
    assert churned.gamma == pytest.approx(0.2)
    assert EDMHeun.churned(s_churn=1e9, steps=2).gamma == pytest.approx(math.sqrt(2) - 1)
    assert propagate(DATA, schedule, levels, still).noise == ()
    assert len(propagate(DATA, schedule, levels, churned).noise) == 200
    assert len(propagate(DATA, schedule, levels, replace(churned, s_min=1.0)).noise) < 200
    assert error(churned, schedule, levels) < 0.01


def test_ping_pong_narrows_an_exact_posterior_mean() -> None:
    """Why it is for distilled networks: with E[x0 | x] the variance ends below the data's."""
    times = grid.uniform_t(RectifiedFlow(), 50)
    mean, variance = DATA.marginal(1.0, RectifiedFlow())
    mean, variance = propagate(DATA, RectifiedFlow(), times, PingPong(), Kind.V).of(mean, variance)
    assert mean == pytest.approx(DATA.mean, abs=1e-12)
    assert variance < 0.9 * DATA.variance


def test_plus_plus_is_the_null_step_and_a_share_of_the_guidance() -> None:
    """CFG++ adds alpha_s of the difference in x0 to the null's step, LMDM's ++ all of it."""
    schedule = RectifiedFlow()
    x, conditional, null = (random(4, seed=n) for n in range(3))
    both = Prediction(null + 0.6 * (conditional - null), Kind.V, null)
    walk = Walk(schedule, lambda like: like)
    plain = DDIM().advance(x, 0.8, 0.3, Prediction(null, Kind.V), walk)
    difference = both.x0(x, 0.8, schedule) - Prediction(null, Kind.V).x0(x, 0.8, schedule)
    for solver, share in ((DDIMPlusPlus(), 0.7), (EulerPlusPlus(), 1.0)):
        step = solver.advance(x, 0.8, 0.3, both, walk)
        assert (step - plain - share * difference).abs().max() < 1e-14
    with pytest.raises(ValueError, match="rectified flow only"):
        EulerPlusPlus().advance(x, 0.8, 0.3, both, Walk(VP(), lambda like: like))


def test_ends_of_walks_and_counts() -> None:
    times = grid.uniform_t(RectifiedFlow(), 10)
    assert evaluations(Heun(), times, RectifiedFlow()) == 19
    assert evaluations(Heun(), times[:-1], RectifiedFlow()) == 18
    assert evaluations(DDIM(), times, RectifiedFlow()) == 10
    calls = 0

    def counted(x: torch.Tensor, t: float | torch.Tensor) -> Prediction:
        nonlocal calls
        calls += 1
        return Prediction(x, Kind.V)

    sample(counted, RectifiedFlow(), times, Heun(), torch.zeros(1))
    assert calls == 19
    for wrong in ([1.0], [0.3, 0.5], [1.0, 1.0]):
        with pytest.raises(ValueError, match="below the one before"):
            sample(counted, RectifiedFlow(), wrong, DDIM(), torch.zeros(1))
    with pytest.raises(ValueError, match="give it a generator"):
        sample(counted, RectifiedFlow(), [1.0, 0.5], PingPong(), torch.zeros(1))


@pytest.mark.parametrize("schedule", [RectifiedFlow(), Cosine()])
def test_sde_from_the_very_end_of_a_straight_path_is_refused(schedule: Schedule) -> None:
    """g2 is infinite where alpha is 0; the ODE through v is not."""
    denoiser = DATA.denoiser(schedule, Kind.V)
    x = random(3, 1, seed=1)
    assert torch.isfinite(sample(denoiser, schedule, [1.0, 0.9], Euler(), x)).all()
    with pytest.raises(SingularTimeError, match="begin a little earlier"):
        sample(denoiser, schedule, [1.0, 0.9], Euler(1.0), x, noise=lambda like: like)


@pytest.mark.parametrize("schedule", [RectifiedFlow(), Cosine()])
def test_walks_may_begin_where_there_is_nothing_but_noise(schedule: Schedule) -> None:
    """At alpha = 0 lambda is -inf; with v every solver but EDM's leaves from there, and arrives."""
    times = grid.uniform_t(schedule, 200)
    denoiser = DATA.denoiser(schedule, Kind.V)
    x = random(200, 1, seed=1)
    exact = DATA.flow(x, 1.0, 0.0, schedule)
    for solver in (Euler(), Heun(), DDIM(), DPMpp2M()):
        assert (sample(denoiser, schedule, times, solver, x) - exact).abs().max() < 0.05, solver
    for solver in (DDIM(eta=1.0), DDPM(), PingPong()):
        noise = lambda like: random(*like.shape, seed=2)  # noqa: E731
        end = sample(denoiser, schedule, times, solver, x, noise=noise)
        assert torch.isfinite(end).all(), solver
    with pytest.raises(SingularTimeError, match="begin a little earlier"):
        sample(denoiser, schedule, times, EDMHeun(), x)
