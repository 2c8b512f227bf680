"""Wrappers that make a denoiser of a network, or another denoiser of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lmdm.diffusion.elementary import Time, quotient, rows, sqrt
from lmdm.diffusion.prediction import SIGMA_DATA, Denoiser, Kind, Prediction
from lmdm.diffusion.schedule import Schedule


@dataclass(frozen=True)
class Network:
    """A plain network(x, t) that predicts `kind`."""

    network: Callable[[Tensor, Time], Tensor]
    kind: Kind

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """Its output, labelled."""
        return Prediction(self.network(x, t), self.kind)


@dataclass(frozen=True)
class EDMPreconditioned:
    """A network F(c_in y, log(level)/4) of EDM (arXiv 2206.00364, table 1), on any schedule.

    y = x/alpha, level = sigma/alpha, c_in = 1/sqrt(level^2 + sigma_data^2); x0 = c_skip y + c_out F
    is left to the conversion from kind edm_F. log(level) is -lambda.
    """

    network: Callable[[Tensor, Time], Tensor]
    schedule: Schedule
    sigma_data: float = SIGMA_DATA

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """F at (x, t), labelled."""
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        scale = quotient(1.0, sqrt(sigma**2 + (self.sigma_data * alpha) ** 2))  # c_in/alpha
        value = self.network(rows(scale, x) * x, -0.25 * self.schedule.lambda_(t))
        return Prediction(value, Kind.EDM_F, sigma_data=self.sigma_data)


@dataclass(frozen=True)
class Clipped:
    """x0 kept between `low` and `high`. Makes samplers non-linear, so it is never on by itself."""

    denoiser: Denoiser
    schedule: Schedule
    low: float = -1.0
    high: float = 1.0

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The clipped prediction, of kind x0."""
        x0 = self.denoiser(x, t).x0(x, t, self.schedule)
        return Prediction(x0.clamp(self.low, self.high), Kind.X0)
