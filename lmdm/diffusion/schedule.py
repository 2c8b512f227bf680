# ruff: noqa: D102 - what the methods of each schedule are is said once, by `Schedule`
"""Noise schedules: the Gaussian path x_t = alpha_t x0 + sigma_t eps, from data at t = 0 to noise.

Time runs forward: t grows with the noise, and samplers walk it downwards. All that theory and
samplers need follows from alpha and sigma ("A Tutorial on Diffusion Theory", arXiv 2605.22586, §2):

    f = alpha'/alpha                          forward drift   dX = f X dt + g dW
    g2 = (sigma^2)' - 2 f sigma^2             squared diffusion, = -2 sigma^2 lambda'
    lambda = log(alpha/sigma)                 half the log signal-to-noise ratio
    Delta = alpha sigma' - sigma alpha'       determinant of (x0, eps) -> (x, dx/dt)

A time may be a number, which gives numbers, or a tensor, which gives tensors. At the ends some of
these are infinite; they are then returned as inf, never as an accidental nan.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from lmdm.diffusion.elementary import (
    Time,
    atan,
    cos,
    exp,
    expm1,
    log,
    quotient,
    sigmoid,
    sin,
    softplus,
    sqrt,
)
from lmdm.errors import InputError


class Schedule(ABC):
    """A Gaussian path. Subclasses are frozen: equal fields, equal schedules."""

    @property
    def valid_range(self) -> tuple[float, float]:
        """First (cleanest) and last (noisiest) time."""
        return 0.0, 1.0

    @property
    def prior_std(self) -> float:
        """Standard deviation of the Gaussian that sampling starts from; its mean is 0."""
        return 1.0

    @abstractmethod
    def alpha(self, t: Time) -> Time:
        """Scale of the data, > 0 but perhaps at the noisy end."""

    @abstractmethod
    def sigma(self, t: Time) -> Time:
        """Scale of the noise, > 0 but perhaps at the clean end."""

    @abstractmethod
    def dalpha(self, t: Time) -> Time:
        """alpha', the derivative by t."""

    @abstractmethod
    def dsigma(self, t: Time) -> Time:
        """sigma', the derivative by t."""

    @abstractmethod
    def t_of_lambda(self, lambda_: Time) -> Time:
        """The time at which log(alpha/sigma) is lambda_: the inverse of `lambda_`."""

    def f(self, t: Time) -> Time:
        """Drift coefficient alpha'/alpha of the forward SDE; -inf where alpha is 0."""
        return quotient(self.dalpha(t), self.alpha(t))

    def g2(self, t: Time) -> Time:
        """Squared diffusion coefficient of the forward SDE, 2 sigma Delta/alpha; >= 0."""
        return quotient(2 * self.sigma(t) * self.wronskian(t), self.alpha(t))

    def lambda_(self, t: Time) -> Time:
        """log(alpha/sigma), half the log signal-to-noise ratio; falls with t."""
        return log(self.alpha(t)) - log(self.sigma(t))

    def wronskian(self, t: Time) -> Time:
        """Delta = alpha sigma' - sigma alpha' > 0."""
        return self.alpha(t) * self.dsigma(t) - self.sigma(t) * self.dalpha(t)

    def x0_of_velocity(self, t: Time) -> tuple[Time, Time]:
        """(a, b) of x0 = a x + b v: sigma'/Delta and -sigma/Delta."""
        delta = self.wronskian(t)
        return quotient(self.dsigma(t), delta), quotient(-self.sigma(t), delta)

    def eps_of_velocity(self, t: Time) -> tuple[Time, Time]:
        """(a, b) of eps = a x + b v: -alpha'/Delta and alpha/Delta."""
        delta = self.wronskian(t)
        return quotient(-self.dalpha(t), delta), quotient(self.alpha(t), delta)


@dataclass(frozen=True)
class VP(Schedule):
    """Variance preserving, DDPM in continuous time: alpha = exp(-B/2), sigma^2 = 1 - alpha^2.

    B(t) is the integral of beta(t) = beta_min + (beta_max - beta_min) t; f = -beta/2, g2 = beta.
    sigma' is infinite at t = 0, where the path leaves the data like sqrt(t).
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max < math.inf:
            raise InputError(
                f"VP schedule: beta_min {self.beta_min} and beta_max {self.beta_max} given; "
                "0 < beta_min <= beta_max is needed"
            )

    def beta(self, t: Time) -> Time:
        """Rate of the noise."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Time) -> Time:
        """B(t), the integral of beta from 0 to t."""
        return (self.beta_min + 0.5 * (self.beta_max - self.beta_min) * t) * t

    def alpha(self, t: Time) -> Time:
        return exp(-0.5 * self.integral(t))

    def sigma(self, t: Time) -> Time:
        return sqrt(-1 * expm1(-1 * self.integral(t)))

    def dalpha(self, t: Time) -> Time:
        return -0.5 * self.beta(t) * self.alpha(t)

    def dsigma(self, t: Time) -> Time:
        return quotient(0.5 * self.beta(t) * exp(-1 * self.integral(t)), self.sigma(t))

    def f(self, t: Time) -> Time:
        return -0.5 * self.beta(t)

    def g2(self, t: Time) -> Time:
        return self.beta(t)

    def lambda_(self, t: Time) -> Time:
        return -0.5 * log(expm1(self.integral(t)))

    def t_of_lambda(self, lambda_: Time) -> Time:
        integral = softplus(-2 * lambda_)
        root = sqrt(self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral)
        return 2 * integral / (self.beta_min + root)

    def wronskian(self, t: Time) -> Time:
        return quotient(0.5 * self.beta(t) * self.alpha(t), self.sigma(t))

    def x0_of_velocity(self, t: Time) -> tuple[Time, Time]:  # finite at t = 0, unlike sigma'
        alpha, sigma = self.alpha(t), self.sigma(t)
        return alpha, quotient(-2 * sigma * sigma, self.beta(t) * alpha)

    def eps_of_velocity(self, t: Time) -> tuple[Time, Time]:
        sigma = self.sigma(t)
        return sigma, quotient(2 * sigma, self.beta(t))


@dataclass(frozen=True)
class VE(Schedule):
    """Variance exploding (SMLD): alpha = 1, sigma = sigma_min (sigma_max/sigma_min)^t."""

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise InputError(
                f"VE schedule: sigma_min {self.sigma_min} and sigma_max {self.sigma_max} given; "
                "0 < sigma_min < sigma_max is needed"
            )

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Time) -> Time:
        return 0 * t + 1.0

    def sigma(self, t: Time) -> Time:
        return self.sigma_min * exp(self._log_ratio * t)

    def dalpha(self, t: Time) -> Time:
        return 0.0 * t

    def dsigma(self, t: Time) -> Time:
        return self._log_ratio * self.sigma(t)

    def lambda_(self, t: Time) -> Time:
        return -math.log(self.sigma_min) - self._log_ratio * t

    def t_of_lambda(self, lambda_: Time) -> Time:
        return (-math.log(self.sigma_min) - lambda_) / self._log_ratio


@dataclass(frozen=True)
class EDM(Schedule):
    """Karras et al. (arXiv 2206.00364): alpha = 1 and the time is the noise level, sigma = t."""

    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_max < math.inf:
            raise InputError(f"EDM schedule: sigma_max is {self.sigma_max}; it must be above 0")

    @property
    def valid_range(self) -> tuple[float, float]:
        return 0.0, self.sigma_max

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    def alpha(self, t: Time) -> Time:
        return 0 * t + 1.0

    def sigma(self, t: Time) -> Time:
        return 1.0 * t

    def dalpha(self, t: Time) -> Time:
        return 0.0 * t

    def dsigma(self, t: Time) -> Time:
        return 0 * t + 1.0

    def t_of_lambda(self, lambda_: Time) -> Time:
        return exp(-1 * lambda_)


@dataclass(frozen=True)
class RectifiedFlow(Schedule):
    """Flow matching's straight path, alpha = 1 - t and sigma = t: the live engine's.

    f and g2 = 2t/(1-t) diverge at t = 1; the velocity eps - x0 does not.
    """

    def alpha(self, t: Time) -> Time:
        return 1 - t

    def sigma(self, t: Time) -> Time:
        return t

    def dalpha(self, t: Time) -> Time:
        return 0 * t - 1.0

    def dsigma(self, t: Time) -> Time:
        return 0 * t + 1.0

    def t_of_lambda(self, lambda_: Time) -> Time:
        return sigmoid(-1 * lambda_)

    def wronskian(self, t: Time) -> Time:
        return 0 * t + 1.0

    def x0_of_velocity(self, t: Time) -> tuple[Time, Time]:
        return 0 * t + 1.0, -1 * t

    def eps_of_velocity(self, t: Time) -> tuple[Time, Time]:
        return 0 * t + 1.0, 1 - t


@dataclass(frozen=True)
class Cosine(Schedule):
    """The trigonometric path, alpha = cos(pi t/2) and sigma = sin(pi t/2): Stable Audio Open 1.0's.

    Here, and only up to the factor pi/2, "v-prediction" (alpha eps - sigma x0) is the velocity.
    """

    def alpha(self, t: Time) -> Time:
        return sin(0.5 * math.pi * (1 - t))  # exactly 0 at t = 1

    def sigma(self, t: Time) -> Time:
        return sin(0.5 * math.pi * t)

    def dalpha(self, t: Time) -> Time:
        return -0.5 * math.pi * self.sigma(t)

    def dsigma(self, t: Time) -> Time:
        return 0.5 * math.pi * cos(0.5 * math.pi * t)

    def t_of_lambda(self, lambda_: Time) -> Time:
        return 2 / math.pi * atan(exp(-1 * lambda_))

    def wronskian(self, t: Time) -> Time:
        return 0 * t + 0.5 * math.pi


SCHEDULES: dict[str, type[Schedule]] = {
    "vp": VP,
    "ve": VE,
    "edm": EDM,
    "fm": RectifiedFlow,
    "cos": Cosine,
}


def validate(schedule: Schedule, points: int = 257) -> None:
    """Checks a schedule of one's own at `points` times inside its range.

    Raises:
        InputError: lambda does not fall (t_of_lambda would have no answer), g2 is negative, or
            t_of_lambda does not undo lambda_.
    """
    first, last = schedule.valid_range
    t = torch.linspace(first, last, points + 2, dtype=torch.float64)[1:-1]
    lambda_, g2 = torch.as_tensor(schedule.lambda_(t)), torch.as_tensor(schedule.g2(t))
    back = torch.as_tensor(schedule.t_of_lambda(lambda_))
    name = type(schedule).__name__
    if not bool((lambda_.diff() < 0).all()):
        raise InputError(f"{name} schedule: log(alpha/sigma) must fall with t; it does not")
    if not bool((g2 >= -1e-12).all()):
        raise InputError(f"{name} schedule: g2 must be 0 or more; it is {float(g2.min()):.3g}")
    if not bool(((back - t).abs() <= 1e-8 * (last - first)).all()):
        raise InputError(f"{name} schedule: t_of_lambda does not undo lambda_")
