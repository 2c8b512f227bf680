"""The same path in the notations of its literatures; the direction of time is in the type.

    here                     data at t = 0, noise at the end; v = dx/dt points to the noise
    GenerativeTime           noise at u = 0, data at the end: flow matching, stochastic interpolants
    ddpm_chain (grid)        integers k with alpha-bar_k and betas b_k: DDPM, DDIM
    scaled (EDM)             y = x/alpha at noise level sigma/alpha

"A Tutorial on Diffusion Theory", arXiv 2605.22586, §8 and eq. 104.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lmdm.diffusion.elementary import Time, log, quotient, rows
from lmdm.diffusion.prediction import Denoiser, Kind
from lmdm.diffusion.schedule import Schedule


@dataclass(frozen=True)
class GenerativeTime:
    """A path whose time u runs from noise (0) to data, u = last - t.

    Derivatives change their sign, and so does the velocity; the score does not.
    """

    schedule: Schedule

    def forward_time(self, u: Time) -> Time:
        """t of u, and u of t: the map is its own inverse."""
        return self.schedule.valid_range[1] - u

    def alpha(self, u: Time) -> Time:
        """Scale of the data, rising with u."""
        return self.schedule.alpha(self.forward_time(u))

    def sigma(self, u: Time) -> Time:
        """Scale of the noise, falling with u."""
        return self.schedule.sigma(self.forward_time(u))

    def dalpha(self, u: Time) -> Time:
        """Derivative of alpha by u, >= 0."""
        return -1 * self.schedule.dalpha(self.forward_time(u))

    def dsigma(self, u: Time) -> Time:
        """Derivative of sigma by u, <= 0."""
        return -1 * self.schedule.dsigma(self.forward_time(u))

    def g2(self, u: Time) -> Time:
        """-(sigma^2)' + 2 (alpha'/alpha) sigma^2 by u (eq. 104): the same number as at t."""
        return self.schedule.g2(self.forward_time(u))

    def velocity(self, denoiser: Denoiser, x: Tensor, u: Time) -> Tensor:
        """dx/du, which points to the data: -v."""
        t = self.forward_time(u)
        return -denoiser(x, t).to(Kind.V, x, t, self.schedule).value


def scaled(x: Tensor, t: Time, schedule: Schedule) -> tuple[Tensor, Time]:
    """EDM's (y, noise level) of (x, t): x/alpha and sigma/alpha. alpha must not be 0."""
    alpha = schedule.alpha(t)
    return x / rows(alpha, x), quotient(schedule.sigma(t), alpha)


def unscaled(y: Tensor, level: Time, schedule: Schedule) -> tuple[Tensor, Time]:
    """(x, t) of EDM's (y, noise level): undoes `scaled`."""
    t = schedule.t_of_lambda(-1 * log(level))
    return y * rows(schedule.alpha(t), y), t


def full_log_snr(t: Time, schedule: Schedule) -> Time:
    """log(alpha^2/sigma^2), the log-SNR of most papers: twice lambda."""
    return 2 * schedule.lambda_(t)
