"""Denoising losses: one regression, whose targets differ by a weight in time only.

For any error, ‖value error of one kind‖² = b(t)² ‖value error of another‖² with the number b of
`prediction.conversion`: (alpha/sigma)² from x0 to eps, (Delta/alpha)² from eps to v, 1/sigma² from
eps to score. Regression on the conditional target and on its posterior mean differ by a constant,
the posterior variance ("A Tutorial on Diffusion Theory", arXiv 2605.22586, Thms 4.2, 8.3, 8.6).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time, combined, exp, finite
from lmdm.diffusion.path import interpolate
from lmdm.diffusion.prediction import (
    SIGMA_DATA,
    Denoiser,
    Kind,
    SingularTimeError,
    conversion,
    line,
)
from lmdm.diffusion.schedule import Schedule

Weight = Callable[[Tensor, Schedule], Time]  # (times [B], schedule) -> weight of each


def target(kind: Kind, x0: Tensor, noise: Tensor, t: Time, schedule: Schedule) -> Tensor:
    """What a network of this kind is trained to say of (x0, noise) at t [B, ...].

    Raises:
        SingularTimeError: it is infinite there (score at sigma = 0, VP's v at t = 0).
    """
    on_x0, on_eps = line(kind, t, schedule)
    if not (finite(on_x0) and finite(on_eps)):
        raise SingularTimeError(f"{kind} is infinite at the clean end; keep t above it")
    return combined(on_x0, x0, on_eps, noise)


def error_ratio(source: Kind, other: Kind, t: Time, schedule: Schedule) -> Time:
    """‖error of kind `other`‖² / ‖error of kind `source`‖² at t, for every error."""
    return conversion(source, other, t, schedule)[1] ** 2


def loss(
    denoiser: Denoiser,
    schedule: Schedule,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    kind: Kind,
    weight: Weight | None = None,
) -> Tensor:
    """Mean over a batch [B, ...] of weight(t) ‖value - target‖²/dimensions, both of kind `kind`.

    t [B]. The denoiser may predict any kind; what it says is converted.
    """
    x = interpolate(x0, noise, t, schedule)
    value = denoiser(x, t).to(kind, x, t, schedule).value
    error = (value - target(kind, x0, noise, t, schedule)).square().flatten(1).mean(1)
    if weight is not None:
        error = error * weight(t, schedule)
    return error.mean()


def equivalent(kind: Kind, reference: Kind) -> Weight:
    """The weight that makes the loss of `kind` equal the unweighted loss of `reference`."""
    return lambda t, schedule: error_ratio(kind, reference, t, schedule)


def min_snr(gamma: float = 5.0) -> Weight:
    """min(SNR, gamma) on the x0 loss (arXiv 2303.09556); SNR = (alpha/sigma)^2."""

    def weight(t: Tensor, schedule: Schedule) -> Time:
        return torch.as_tensor(exp(2 * schedule.lambda_(t))).clamp(max=gamma)

    return weight


def edm_weight(sigma_data: float = SIGMA_DATA) -> Weight:
    """(level^2 + sigma_data^2)/(level sigma_data)^2 on the x0 loss, 1/c_out^2 (arXiv 2206.00364).

    The loss of kind edm_F unweighted is the same thing.
    """

    def weight(t: Tensor, schedule: Schedule) -> Time:
        return exp(2 * schedule.lambda_(t)) + 1 / sigma_data**2

    return weight


def stratified_times(
    count: int, generator: torch.Generator, first: float = 0.0, last: float = 1.0
) -> Tensor:
    """A uniform time in each of `count` equal strata of first..last, shuffled; float64 [count]."""
    strata = torch.rand(count, generator=generator, dtype=torch.float64)
    strata = (torch.randperm(count, generator=generator) + strata) / count
    return first + (last - first) * strata


def logit_normal_times(
    count: int, generator: torch.Generator, mean: float = 0.0, std: float = 1.0
) -> Tensor:
    """sigmoid of a Gaussian, in 0..1 (arXiv 2403.03206); float64 [count]."""
    draws = torch.randn(count, generator=generator, dtype=torch.float64)
    return torch.sigmoid(mean + std * draws)


def log_normal_levels(
    count: int,
    schedule: Schedule,
    generator: torch.Generator,
    mean: float = -1.2,
    std: float = 1.2,
) -> Tensor:
    """Times whose noise level sigma/alpha is log-normal, as EDM trains; float64 [count]."""
    draws = torch.randn(count, generator=generator, dtype=torch.float64)
    return torch.as_tensor(schedule.t_of_lambda(-(mean + std * draws)))
