"""Solvers: how a denoiser carries x from time t to an earlier time s.

A solver is a frozen object; `step(x, t, s, denoiser, walk)` gives x_s, times being numbers. It asks
the denoiser for the kinds it needs, never divides by sigma at the clean end and, where sigma_s = 0,
adds no noise (but for `Euler` with ell > 0, whose noise is that of the SDE).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from lmdm.diffusion.dynamics import diffusion, reverse_drift
from lmdm.diffusion.elementary import combined
from lmdm.diffusion.prediction import Denoiser, Prediction, SingularTimeError
from lmdm.diffusion.schedule import RectifiedFlow, Schedule


class Past(NamedTuple):
    """A step that was taken: its time and the clean data it pointed to."""

    t: float
    x0: Tensor


@dataclass
class Walk:
    """What the steps of one walk share.

    noise(like): standard normal noise of like's shape; see `sampling.generator_noise`.
    history: what earlier steps left, for multistep solvers, which append to it.
    """

    schedule: Schedule
    noise: Callable[[Tensor], Tensor]
    history: list[Past] = field(default_factory=list)


class Solver(Protocol):
    """One step of a sampler. evaluations: calls of the denoiser a step (fewer to sigma = 0)."""

    @property
    def evaluations(self) -> int: ...  # noqa: D102

    def step(self, x: Tensor, t: float, s: float, denoiser: Denoiser, walk: Walk) -> Tensor:
        """x at s < t, from x at t."""
        ...


class OneCall:
    """A solver that calls the denoiser once a step; the rest is `advance`."""

    evaluations = 1

    def step(self, x: Tensor, t: float, s: float, denoiser: Denoiser, walk: Walk) -> Tensor:
        """x at s < t, from x at t."""
        return self.advance(x, t, s, denoiser(x, t), walk)

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """x at s, from x at t and what was predicted there."""
        raise NotImplementedError


@dataclass(frozen=True)
class Euler(OneCall):
    """x_s = x - (t - s) drift + sqrt(t - s) ell g z: Euler(-Maruyama) on the family member ell.

    ell = 0 is the probability-flow ODE (on rectified flow the usual flow-matching sampler), ell = 1
    the reverse SDE; ell may be a function of t. First order, for ell > 0 weakly.
    """

    ell: float | Callable[[float], float] = 0.0

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        ell = self.ell(t) if callable(self.ell) else self.ell
        x_s = x + (s - t) * reverse_drift(prediction, x, t, walk.schedule, ell)
        if ell == 0.0:
            return x_s
        return x_s + math.sqrt(t - s) * diffusion(t, walk.schedule, ell) * walk.noise(x)


@dataclass(frozen=True)
class Heun:
    """Heun's method (the explicit trapezoid) on the probability-flow ODE in t. Second order.

    The last step to sigma = 0 is Euler's, which keeps the order: networks do not know that end, and
    no prediction there gives VP's velocity.
    """

    evaluations = 2

    def step(self, x: Tensor, t: float, s: float, denoiser: Denoiser, walk: Walk) -> Tensor:
        """See `Solver`."""
        v = denoiser(x, t).v(x, t, walk.schedule)
        x_s = x + (s - t) * v
        if walk.schedule.sigma(s) == 0.0:
            return x_s
        return x + 0.5 * (s - t) * (v + denoiser(x_s, s).v(x_s, s, walk.schedule))


@dataclass(frozen=True)
class DDIM(OneCall):
    """x_s = alpha_s x0 + sqrt(sigma_s^2 - c^2) eps + c z (arXiv 2010.02502, for any alpha, sigma).

    c^2 = eta^2 sigma_s^2 [1 - (alpha_t sigma_s / (alpha_s sigma_t))^2]. eta = 0 solves the ODE
    exactly for a frozen eps (DPM-Solver-1); eta = 1 is `DDPM`, coefficient by coefficient. First
    order.
    """

    eta: float = 0.0

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        schedule = walk.schedule
        x0 = prediction.x0(x, t, schedule)
        alpha, sigma = float(schedule.alpha(s)), float(schedule.sigma(s))
        if sigma == 0.0:
            return alpha * x0
        eps = prediction.eps(x, t, schedule)
        if self.eta == 0.0:
            return combined(alpha, x0, sigma, eps)
        fresh = self.eta * sigma * math.sqrt(-math.expm1(-2 * _lambda_step(schedule, t, s)))
        kept = math.sqrt(max(0.0, sigma**2 - fresh**2))
        return combined(alpha, x0, kept, eps) + fresh * walk.noise(x)


@dataclass(frozen=True)
class DDPM(OneCall):
    """A draw from the posterior q(x_s | x_t, x0) (arXiv 2006.11239, for any alpha, sigma).

    With r = alpha_t/alpha_s and q = sigma_t^2 - r^2 sigma_s^2, the mean is (r sigma_s^2 x + alpha_s
    q x0)/sigma_t^2 and the variance sigma_s^2 q/sigma_t^2: none on the last step. First order.
    """

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        schedule = walk.schedule
        x0 = prediction.x0(x, t, schedule)
        ratio = float(schedule.alpha(t)) / float(schedule.alpha(s))
        earlier, here = float(schedule.sigma(s)) ** 2, float(schedule.sigma(t)) ** 2
        added = here - ratio**2 * earlier
        mean = combined(ratio * earlier / here, x, float(schedule.alpha(s)) * added / here, x0)
        if earlier == 0.0:
            return mean
        return mean + math.sqrt(earlier * added / here) * walk.noise(x)


@dataclass(frozen=True)
class DPMpp2M(OneCall):
    """DPM-Solver++(2M) (arXiv 2211.01095): x0 extrapolated in lambda from two steps. Second order.

    The first step, and the last one to sigma = 0, are of first order. One walk has one history.
    """

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        schedule = walk.schedule
        x0 = prediction.x0(x, t, schedule)
        previous = walk.history[-1] if walk.history else None
        walk.history[:] = [Past(t, x0)]
        alpha, sigma = float(schedule.alpha(s)), float(schedule.sigma(s))
        if sigma == 0.0:
            return alpha * x0
        h = _lambda_step(schedule, t, s)
        kept = sigma / float(schedule.sigma(t))
        if previous is not None and math.isfinite(before := _lambda_step(schedule, previous.t, t)):
            slope = h / (2 * before)
            x0 = combined(1 + slope, x0, -slope, previous.x0)
        return combined(kept, x, -alpha * math.expm1(-h), x0)


@dataclass(frozen=True)
class EDMHeun:
    """Karras et al.'s Algorithm 2 (arXiv 2206.00364): Heun in the noise level, with churn.

    It works on y = x/alpha at level = sigma/alpha, where dy/dlevel = (y - x0)/level. gamma raises
    the level by (1 + gamma) with fresh noise before each step that starts between s_min and s_max;
    `churned` has it from the paper's S_churn. Second order for gamma = 0. alpha_t must not be 0.
    """

    gamma: float = 0.0
    s_min: float = 0.0
    s_max: float = math.inf
    s_noise: float = 1.0

    evaluations = 2

    @classmethod
    def churned(cls, s_churn: float, steps: int, **others: float) -> EDMHeun:
        """gamma = min(S_churn/N, sqrt 2 - 1), for a walk of N steps."""
        return cls(gamma=min(s_churn / steps, math.sqrt(2) - 1), **others)

    def step(self, x: Tensor, t: float, s: float, denoiser: Denoiser, walk: Walk) -> Tensor:
        """See `Solver`."""
        schedule = walk.schedule
        level, level_s = _level(schedule, t), _level(schedule, s)
        y = x / float(schedule.alpha(t))
        if self.gamma > 0.0 and self.s_min <= level <= self.s_max:
            raised = level * (1 + self.gamma)
            y = y + math.sqrt(raised**2 - level**2) * self.s_noise * walk.noise(x)
            level, t = raised, float(schedule.t_of_lambda(-math.log(raised)))
        slope = self._slope(y, level, t, denoiser, schedule)
        y_s = y + (level_s - level) * slope
        if level_s > 0.0:
            ahead = self._slope(y_s, level_s, s, denoiser, schedule)
            y_s = y + (level_s - level) * 0.5 * (slope + ahead)
        return y_s * float(schedule.alpha(s))

    @staticmethod
    def _slope(y: Tensor, level: float, t: float, denoiser: Denoiser, schedule: Schedule) -> Tensor:
        x = y * float(schedule.alpha(t))
        return (y - denoiser(x, t).x0(x, t, schedule)) / level


@dataclass(frozen=True)
class PingPong(OneCall):
    """Denoise fully, then noise afresh: x_s = alpha_s x0 + sigma_s z (consistency sampling).

    With an exact posterior mean it narrows the spread, whatever the number of steps; it is for
    networks distilled to few steps.
    """

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        x0 = prediction.x0(x, t, walk.schedule)
        sigma = walk.schedule.sigma(s)
        if sigma == 0.0:
            return float(walk.schedule.alpha(s)) * x0
        return combined(walk.schedule.alpha(s), x0, sigma, walk.noise(x))


@dataclass(frozen=True)
class DDIMPlusPlus(OneCall):
    """CFG++ (arXiv 2406.08070): x_s = alpha_s x0(guided) + sigma_s eps(null).

    A step towards the guided data that is renoised along the null condition; guidance lies between
    0 (the null's DDIM) and 1. Needs predictions with `null`.
    """

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        x0 = prediction.x0(x, t, walk.schedule)
        eps = prediction.unguided().eps(x, t, walk.schedule)
        return combined(walk.schedule.alpha(s), x0, walk.schedule.sigma(s), eps)


@dataclass(frozen=True)
class EulerPlusPlus(OneCall):
    """x_s = x0(guided) + s v(null) on rectified flow: LMDM's CFG++-style Euler (dossier §2.7).

    CFG++ adds alpha_s (x0(guided) - x0(null)) to the null's step; this adds the whole difference.
    """

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        _only_rectified_flow(self, walk.schedule)
        x0 = prediction.x0(x, t, walk.schedule)
        if s == 0.0:
            return x0
        return x0 + s * prediction.unguided().v(x, t, walk.schedule)


@dataclass(frozen=True)
class PingPongPlusPlus(OneCall):
    """x_s = x0(guided) + s (z - x0(null)) on rectified flow: LMDM's Ping-Pong++ (dossier §2.7)."""

    def advance(self, x: Tensor, t: float, s: float, prediction: Prediction, walk: Walk) -> Tensor:
        """See `OneCall`."""
        _only_rectified_flow(self, walk.schedule)
        x0 = prediction.x0(x, t, walk.schedule)
        if s == 0.0:
            return x0
        null = prediction.unguided().x0(x, t, walk.schedule)
        return x0 + s * (walk.noise(x) - null)


def _only_rectified_flow(solver: object, schedule: Schedule) -> None:
    if not isinstance(schedule, RectifiedFlow):
        raise ValueError(f"{type(solver).__name__} is defined on rectified flow only")


def _lambda_step(schedule: Schedule, t: float, s: float) -> float:
    """h = lambda_s - lambda_t > 0; inf from alpha_t = 0."""
    return float(schedule.lambda_(s)) - float(schedule.lambda_(t))


def _level(schedule: Schedule, t: float) -> float:
    """The noise level sigma/alpha.

    Raises:
        SingularTimeError: alpha is 0 there.
    """
    if float(schedule.alpha(t)) == 0.0:
        raise SingularTimeError(
            f"the noise level of {type(schedule).__name__} is infinite at t = {t}; begin a little "
            "earlier"
        )
    return float(schedule.sigma(t)) / float(schedule.alpha(t))
