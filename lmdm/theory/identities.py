"""The theory's claims, measured: each a name, the largest error found, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import torch

from lmdm.diffusion import grid
from lmdm.diffusion.discrete.bridge import marginalised, plug_in
from lmdm.diffusion.discrete.exact import ExactData, integrated
from lmdm.diffusion.discrete.losses import nelbo
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.diffusion.dynamics import diffusion, frozen_noise_step, reverse_drift
from lmdm.diffusion.gaussian import AffineMap, GaussianData, propagate
from lmdm.diffusion.losses import error_ratio
from lmdm.diffusion.matching import OnAnotherPath, matched_scale
from lmdm.diffusion.path import interpolate
from lmdm.diffusion.prediction import Kind, Prediction, convert
from lmdm.diffusion.sampling import sample
from lmdm.diffusion.schedule import SCHEDULES, VP, Schedule
from lmdm.diffusion.solvers import DDIM, DDPM, DPMpp2M, EDMHeun, Euler, Heun, Solver, Walk

TOLERANCE = 1e-10
ORDER_TOLERANCE = 0.15
DATA = GaussianData(mean=1.3, variance=0.25)
SOLVERS: dict[str, tuple[Solver, int]] = {  # name -> solver and its order
    "euler": (Euler(), 1),
    "heun": (Heun(), 2),
    "ddim": (DDIM(), 1),
    "ddpm": (DDPM(), 1),
    "euler-maruyama": (Euler(ell=1.0), 1),
    "dpm++2m": (DPMpp2M(), 2),
    "edm": (EDMHeun(), 2),
}


class Finding(NamedTuple):
    """A claim and how far it was off. passed: the error is no larger than what is allowed."""

    name: str
    error: float
    allowed: float

    @property
    def passed(self) -> bool:
        """False for nan too."""
        return self.error <= self.allowed


def continuous_findings(names: Sequence[str]) -> list[Finding]:
    """The identities of schedules by name, in float64."""
    findings = []
    for name in names:
        schedule = SCHEDULES[name]()
        findings += [
            Finding(f"{name}: {claim}", error, TOLERANCE) for claim, error in _claims(schedule)
        ]
    return findings


def _claims(schedule: Schedule) -> Iterator[tuple[str, float]]:
    clean, noisy = schedule.valid_range
    t = clean + 0.4 * (noisy - clean)
    numbers = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 64, 2, generator=numbers, dtype=torch.float64)
    x = interpolate(x0, eps, t, schedule)
    trip = 0.0
    for source, target in permutations(Kind, 2):
        there = convert(eps, source, target, x, t, schedule)
        back = convert(there, target, source, x, t, schedule)
        trip = max(trip, float((back - eps).abs().max()))
    yield "round trips of all kinds", trip
    score = convert(eps, Kind.EPS, Kind.SCORE, x, t, schedule)
    v = convert(eps, Kind.EPS, Kind.V, x, t, schedule)
    drift = schedule.f(t) * x - 0.5 * schedule.g2(t) * score
    yield "v = f x - g2/2 score", float((v - drift).abs().max() / (1 + v.abs().max()))
    alpha, sigma, g2 = (float(each(t)) for each in (schedule.alpha, schedule.sigma, schedule.g2))
    dlambda = float(schedule.dalpha(t)) / alpha - float(schedule.dsigma(t)) / sigma
    yield "g2 = -2 sigma^2 lambda'", abs(g2 + 2 * sigma**2 * dlambda) / (1 + g2)
    back_t = schedule.t_of_lambda(schedule.lambda_(t))
    yield "t(lambda(t)) = t", abs(float(back_t) - t) / noisy
    weight = (alpha / sigma) ** 2
    ratio = error_ratio(Kind.X0, Kind.EPS, t, schedule)
    yield "loss weight of x0 and eps", abs(float(ratio) / weight - 1.0)
    yield from _solver_claims(schedule, t)


def _solver_claims(schedule: Schedule, t: float) -> Iterator[tuple[str, float]]:
    clean, noisy = schedule.valid_range
    times = grid.uniform_t(schedule, 16, clean, clean + 0.95 * (noisy - clean))
    maps = [propagate(DATA, schedule, times, each) for each in (DDIM(eta=1.0), DDPM())]
    yield "DDIM(1) = DDPM, by coefficient", _difference(*maps)
    numbers = torch.Generator().manual_seed(1)
    x, eps = torch.randn(2, 64, generator=numbers, dtype=torch.float64)
    s = clean + 0.5 * (t - clean)
    walk = Walk(schedule, lambda like: like)
    step = DDIM().advance(x, t, s, Prediction(eps, Kind.EPS), walk)
    exact = frozen_noise_step(x, t, s, eps, schedule)
    yield "DDIM(0) = exponential integrator", float((step - exact).abs().max())
    variance = float(DATA.marginal(t, schedule)[1])
    rate = 2 * schedule.alpha(t) * schedule.dalpha(t) * DATA.variance
    rate = float(rate + 2 * schedule.sigma(t) * schedule.dsigma(t))
    worst = 0.0
    probes = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    prediction = DATA.denoiser(schedule, Kind.EPS)(probes, t)
    for ell in (0.0, 0.5, 1.0, 2.0):
        zero, one = reverse_drift(prediction, probes, t, schedule, ell).flatten().tolist()
        found = 2 * (one - zero) * variance - float(diffusion(t, schedule, ell)) ** 2
        worst = max(worst, abs(found - rate) / (1 + abs(rate)))
    yield "marginals equal for ell = 0, 1/2, 1, 2", worst
    levels = torch.logspace(0.5, -1.5, 12, dtype=torch.float64)
    here, vp = (torch.as_tensor(each.t_of_lambda(-levels.log())) for each in (schedule, VP()))
    begin = x[:, None] * float(schedule.alpha(float(here[0])))
    other = OnAnotherPath(DATA.denoiser(schedule), schedule, VP(), Kind.EPS)
    end = sample(DATA.denoiser(schedule), schedule, here, DDIM(), begin)
    scales = [float(matched_scale(float(here[n]), schedule, VP())) for n in (0, -1)]
    found_end = sample(other, VP(), vp, DDIM(), scales[0] * begin)
    yield "one path as another (to VP)", float((found_end - scales[1] * end).abs().max())


def _difference(one: AffineMap, other: AffineMap) -> float:
    noise = [abs(a - b) for a, b in zip(one.noise, other.noise, strict=True)]
    return max(abs(one.gain - other.gain), abs(one.shift - other.shift), *noise, 0.0)


class MeasuredOrder(NamedTuple):
    """Errors |Var - V|/V by number of steps, and the order between the last two."""

    steps: tuple[int, ...]
    errors: tuple[float, ...]
    order: float
    expected: int

    @property
    def passed(self) -> bool:
        """Within 0.15 of the theory's."""
        return abs(self.order - self.expected) <= ORDER_TOLERANCE


def measured_order(name: str, schedule: Schedule, steps: Sequence[int]) -> MeasuredOrder:
    """The order of a solver by name, on Gaussian data whose law is propagated exactly.

    On uniform t from the exact marginal, between 0.1 % of the range and its end (0.9 of it where
    alpha reaches 0: there g2 is infinite).
    """
    solver, expected = SOLVERS[name]
    clean, noisy = schedule.valid_range
    last = noisy if float(schedule.alpha(noisy)) > 0.0 else clean + 0.9 * (noisy - clean)
    first = clean + 1e-3 * (noisy - clean)
    begin = DATA.marginal(last, schedule)
    _, wanted = DATA.marginal(first, schedule)
    errors = []
    for count in steps:
        times = grid.uniform_t(schedule, count, first, last)
        _, found = propagate(DATA, schedule, times, solver).of(float(begin[0]), float(begin[1]))
        errors.append(abs(found - float(wanted)) / float(wanted))
    fall = math.log(errors[-2] / errors[-1]) if min(errors[-2:]) > 0 else math.nan
    return MeasuredOrder(
        tuple(steps), tuple(errors), fall / math.log(steps[-1] / steps[-2]), expected
    )


def enumerated(vocabulary: int, length: int, seed: int, epsilon: float = 1e-3) -> ExactData:
    """All sequences under p0 ~ Dirichlet(0.3); the dossier's is 3 tokens, length 3, seed 0."""
    weights = np.full(vocabulary**length, 0.3)
    p0 = torch.from_numpy(np.random.default_rng(seed).dirichlet(weights))
    return ExactData(TokenProcess(vocabulary, epsilon), length, p0)


def uniform_findings(vocabulary: int, length: int, seed: int) -> list[Finding]:
    """The dossier's falsifiers of uniform diffusion, by enumeration."""
    data = enumerated(vocabulary, length, seed)
    x, process, t, s = data.sequences, data.process, 0.45, 0.2
    loo, denoiser = data.leave_one_out(t), data.denoiser(t)
    to_d = TokenPrediction(loo.log(), Representation.LOO).to("denoiser", x, t, process)
    to_r = TokenPrediction(denoiser.log(), Representation.DENOISER).to("loo", x, t, process)
    score = to_r.to("score", x, t, process).to("loo", x, t, process)
    kernel = plug_in(loo, x, t, s, process)
    average = marginalised(denoiser, x, t, s, process)
    exact_claims = (
        ("R to D is Bayes", to_d.probabilities() - denoiser),
        ("D to R is Bayes", to_r.probabilities() - loo),
        ("R to score and back", score.probabilities() - loo),
        ("B_R = q(x_s | x_t)", kernel - data.reverse(t, s)),
        ("sum_j D_j B_j = B_R", kernel - average),
    )
    findings = [Finding(name, float(off.abs().max()), TOLERANCE) for name, off in exact_claims]
    whole = enumerated(vocabulary, length, seed, epsilon=0.0)
    off = abs(_bound(whole) - whole.entropy)
    findings.append(Finding("NELBO of R = entropy", off, 1e-6))
    few, many = (data.total_variation(data.sampled(n, data.leave_one_out)) for n in (8, 64))
    plateau = data.total_variation(data.sampled(64, data.denoiser))
    findings.append(Finding("plug-in R: TV(64 steps) / TV(8 steps)", many / few, 0.25))
    findings.append(Finding("plug-in R: TV / plug-in D's, 64 steps", many / plateau, 0.5))
    return findings


def _bound(data: ExactData) -> float:
    """The NELBO of the exact leave-one-out posterior, nats a sequence."""
    x, process = data.sequences, data.process
    size, length = x.shape
    x0, x_t = x[:, None].expand(size, size, length), x[None].expand(size, size, length)

    def expected(time: float) -> float:
        logits = data.leave_one_out(time).log().expand(size, size, -1, -1)
        prediction = TokenPrediction(logits, Representation.LOO)
        each = nelbo(prediction, x0, x_t, time, process).sum(-1)
        return float((data.p0[:, None] * data.forward(time) * each).sum())

    return integrated(expected, points=24, power=4.0)
