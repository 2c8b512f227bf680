"""The rectified-flow path: data at t = 0, noise at t = 1 (dossier §2.7)."""

from __future__ import annotations

from torch import Tensor


def interpolate(x0: Tensor, noise: Tensor, t: Tensor | float) -> Tensor:
    """x_t = (1 - t) x0 + t noise. t broadcasts against x0."""
    return (1 - t) * x0 + t * noise


def velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """v = dx_t/dt = noise - x0, the same at every t."""
    return noise - x0


def denoised(x_t: Tensor, v: Tensor, t: Tensor | float) -> Tensor:
    """The x0 that a velocity points to: x_t - t v."""
    return x_t - t * v


def noise_of(x_t: Tensor, v: Tensor, t: Tensor | float) -> Tensor:
    """The noise that a velocity comes from: x_t + (1 - t) v."""
    return x_t + (1 - t) * v
