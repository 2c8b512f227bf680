"""Data whose diffusion is known in closed form: Gaussians, mixtures of them, and exact propagation.

For data N(m, c) per dimension the path's marginal is N(alpha m, V), V = alpha^2 c + sigma^2, the
score is linear in x, and every solver is an affine map of x and of its noise. `propagate` reads
that map off, so a sampler's law is known to rounding error, without a sample (dossier B §5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time, log, rows
from lmdm.diffusion.prediction import Kind, Prediction, convert
from lmdm.diffusion.sampling import sample
from lmdm.diffusion.schedule import Schedule
from lmdm.diffusion.solvers import Solver


@dataclass(frozen=True)
class GaussianData:
    """Independent dimensions, each N(mean, variance)."""

    mean: float = 1.3
    variance: float = 0.25

    def marginal(self, t: Time, schedule: Schedule) -> tuple[Time, Time]:
        """Mean alpha m and variance V = alpha^2 c + sigma^2 of x_t."""
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return alpha * self.mean, alpha**2 * self.variance + sigma**2

    def score(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """-(x - alpha m)/V."""
        mean, variance = self.marginal(t, schedule)
        return -(x - rows(mean, x)) / rows(variance, x)

    def x0(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """E[x0 | x] = m + (alpha c/V)(x - alpha m)."""
        mean, variance = self.marginal(t, schedule)
        gain = schedule.alpha(t) * self.variance / variance
        return self.mean + rows(gain, x) * (x - rows(mean, x))

    def eps(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """E[eps | x] = sigma (x - alpha m)/V."""
        mean, variance = self.marginal(t, schedule)
        return rows(schedule.sigma(t) / variance, x) * (x - rows(mean, x))

    def flow(self, x: Tensor, t: float, s: float, schedule: Schedule) -> Tensor:
        """The exact probability-flow map: alpha_s m + sqrt(V_s/V_t)(x - alpha_t m)."""
        (mean, variance), (mean_s, variance_s) = (self.marginal(each, schedule) for each in (t, s))
        return mean_s + math.sqrt(variance_s / variance) * (x - mean)

    def log_density(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """log p_t(x) in nats, summed over all dimensions but the first [B]."""
        mean, variance = self.marginal(t, schedule)
        square = (x - rows(mean, x)) ** 2 / rows(variance, x)
        each = -0.5 * (square + rows(log(2 * math.pi * variance), x))
        return each.flatten(1).sum(1)

    def denoiser(self, schedule: Schedule, kind: Kind = Kind.X0) -> GaussianDenoiser:
        """The perfect network, predicting `kind`."""
        return GaussianDenoiser(self, schedule, kind)

    def prior_divergence(self, schedule: Schedule) -> float:
        """KL(p_T || N(0, prior_std^2)), nats per dimension: what starting from the prior costs."""
        mean, variance = self.marginal(schedule.valid_range[1], schedule)
        ratio = variance / schedule.prior_std**2
        return 0.5 * float(ratio + mean**2 / schedule.prior_std**2 - 1 - math.log(ratio))


@dataclass(frozen=True)
class GaussianDenoiser:
    """E[target | x] of Gaussian data, for any kind of target."""

    data: GaussianData
    schedule: Schedule
    kind: Kind = Kind.X0

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The perfect prediction at (x, t)."""
        x0, eps = self.data.x0(x, t, self.schedule), self.data.eps(x, t, self.schedule)
        if self.kind in (Kind.X0, Kind.EPS):
            return Prediction(x0 if self.kind is Kind.X0 else eps, self.kind)
        if self.kind is Kind.V:  # through both ends, so that neither end of the path is singular
            dalpha, dsigma = self.schedule.dalpha(t), self.schedule.dsigma(t)
            return Prediction(rows(dalpha, x) * x0 + rows(dsigma, x) * eps, Kind.V)
        return Prediction(convert(eps, Kind.EPS, self.kind, x, t, self.schedule), self.kind)


@dataclass(frozen=True)
class MixtureData:
    """A mixture of isotropic Gaussians: weights [K], means [K, D], one variance."""

    weights: Tensor
    means: Tensor
    variance: float

    def responsibilities(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """Posterior weights of the components at x [B, D]: [B, K]."""
        return torch.softmax(self._log_joint(x, t, schedule), dim=1)

    def score(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """Sum of the components' scores, weighted by their responsibilities [B, D]."""
        mean, variance = self._components(t, schedule)
        pull = self.responsibilities(x, t, schedule)
        return (pull @ mean - x) / variance

    def log_density(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """log p_t(x) in nats [B]."""
        return torch.logsumexp(self._log_joint(x, t, schedule), dim=1)

    def x0(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """E[x0 | x]: each component's, weighted [B, D]."""
        mean, variance = self._components(t, schedule)
        alpha = float(schedule.alpha(t))
        pull = self.responsibilities(x, t, schedule)
        gain = alpha * self.variance / variance
        return pull @ (self.means - gain * mean) + gain * x

    def denoiser(self, schedule: Schedule, kind: Kind = Kind.X0) -> MixtureDenoiser:
        """The perfect network, predicting `kind`."""
        return MixtureDenoiser(self, schedule, kind)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Fresh data [count, D], float64."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        shape = (count, self.means.shape[1])
        noise = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        return self.means[which] + math.sqrt(self.variance) * noise

    def _components(self, t: Time, schedule: Schedule) -> tuple[Tensor, float]:
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        return alpha * self.means, alpha**2 * self.variance + sigma**2

    def _log_joint(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        mean, variance = self._components(t, schedule)
        square = (x[:, None] - mean[None]).square().sum(-1)
        dimensions = self.means.shape[1]
        return self.weights.log() - 0.5 * (
            square / variance + dimensions * math.log(2 * math.pi * variance)
        )


@dataclass(frozen=True)
class MixtureDenoiser:
    """E[target | x] of a mixture, for any kind of target that x0 leads to at t (so sigma_t > 0)."""

    data: MixtureData
    schedule: Schedule
    kind: Kind = Kind.X0

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The perfect prediction at (x, t); t is a number."""
        x0 = self.data.x0(x, t, self.schedule)
        return Prediction(x0, Kind.X0).to(self.kind, x, t, self.schedule)


@dataclass(frozen=True)
class AffineMap:
    """What a walk does to Gaussian data: x_end = gain x_begin + shift + sum_k noise_k z_k."""

    gain: float
    shift: float
    noise: tuple[float, ...]

    def of(self, mean: float, variance: float) -> tuple[float, float]:
        """Mean and variance at the end, from those at the beginning."""
        spread = self.gain**2 * variance + sum(each**2 for each in self.noise)
        return self.gain * mean + self.shift, spread


def propagate(
    data: GaussianData,
    schedule: Schedule,
    grid: Sequence[float] | Tensor,
    solver: Solver,
    kind: Kind = Kind.X0,
) -> AffineMap:
    """The affine map of a whole walk, read off by one walk over probes.

    Probe 0 is x = 0 without noise, probe 1 x = 1 without noise, and probe 2 + k is x = 0 with the
    k-th draw set to 1.
    """
    draws = len(grid) - 1  # no solver draws more than once a step
    probes = torch.zeros(draws + 2, 1, dtype=torch.float64)
    probes[1] = 1.0
    drawn = 0

    def unit_noise(like: Tensor) -> Tensor:
        nonlocal drawn
        noise = torch.zeros_like(like)
        noise[2 + drawn] = 1.0
        drawn += 1
        return noise

    denoiser = data.denoiser(schedule, kind)
    ends = sample(denoiser, schedule, grid, solver, probes, noise=unit_noise)[:, 0]
    noise = (ends[2 : 2 + drawn] - ends[0]).tolist()
    return AffineMap(float(ends[1] - ends[0]), float(ends[0]), tuple(noise))
