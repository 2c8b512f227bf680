"""The Gaussian path between data and noise, and what a velocity on it points to.

The schedule is by default rectified flow, the live engine's: x_t = (1 - t) x0 + t noise (dossier
§2.7). A time t is a number, a tensor [B] with one time a row, or a tensor that broadcasts.
"""

from __future__ import annotations

from torch import Tensor

from lmdm.diffusion.elementary import Time, combined
from lmdm.diffusion.schedule import RectifiedFlow, Schedule

RECTIFIED_FLOW = RectifiedFlow()


def interpolate(x0: Tensor, noise: Tensor, t: Time, schedule: Schedule = RECTIFIED_FLOW) -> Tensor:
    """x_t = alpha_t x0 + sigma_t noise."""
    return combined(schedule.alpha(t), x0, schedule.sigma(t), noise)


def velocity(
    x0: Tensor, noise: Tensor, t: Time = 0.0, schedule: Schedule = RECTIFIED_FLOW
) -> Tensor:
    """v = dx_t/dt = alpha'_t x0 + sigma'_t noise; for rectified flow, noise - x0 at every t."""
    return combined(schedule.dalpha(t), x0, schedule.dsigma(t), noise)


def denoised(x_t: Tensor, v: Tensor, t: Time, schedule: Schedule = RECTIFIED_FLOW) -> Tensor:
    """The x0 that a velocity points to; for rectified flow x_t - t v."""
    on_x, on_v = schedule.x0_of_velocity(t)
    return combined(on_x, x_t, on_v, v)


def noise_of(x_t: Tensor, v: Tensor, t: Time, schedule: Schedule = RECTIFIED_FLOW) -> Tensor:
    """The noise that a velocity comes from; for rectified flow x_t + (1 - t) v."""
    on_x, on_v = schedule.eps_of_velocity(t)
    return combined(on_x, x_t, on_v, v)
