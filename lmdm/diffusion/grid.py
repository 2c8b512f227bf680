"""Grids of times for samplers, all falling and float64, and how they are shifted.

`steps` steps make steps + 1 times. Grids run from the schedule's last time to its first unless
`first` and `last` say otherwise; grids in lambda or in the noise level cannot reach an end where
these are infinite, so they take their own bounds, and `to_clean` adds the last step to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lmdm.diffusion.schedule import RectifiedFlow, Schedule


def uniform_t(
    schedule: Schedule, steps: int, first: float | None = None, last: float | None = None
) -> Tensor:
    """Even in time, from `last` (noisiest) to `first` (cleanest) [steps + 1]."""
    clean, noisy = schedule.valid_range
    begin, end = (noisy if last is None else last), (clean if first is None else first)
    return torch.linspace(begin, end, _some(steps) + 1, dtype=torch.float64)


def uniform_lambda(schedule: Schedule, steps: int, lambda_min: float, lambda_max: float) -> Tensor:
    """Even in lambda = log(alpha/sigma), from lambda_min (noisiest) to lambda_max [steps + 1]."""
    lambdas = torch.linspace(lambda_min, lambda_max, _some(steps) + 1, dtype=torch.float64)
    return torch.as_tensor(schedule.t_of_lambda(lambdas))


def edm_rho(
    schedule: Schedule,
    steps: int,
    level_min: float = 0.002,
    level_max: float = 80.0,
    rho: float = 7.0,
) -> Tensor:
    """Karras et al.'s noise levels sigma/alpha (arXiv 2206.00364, eq. 5) [steps + 1].

    level_i = (level_max^(1/rho) + i/steps (level_min^(1/rho) - level_max^(1/rho)))^rho; larger rho
    puts more steps at little noise.
    """
    part = torch.linspace(0, 1, _some(steps) + 1, dtype=torch.float64)
    top, bottom = level_max ** (1 / rho), level_min ** (1 / rho)
    levels = (top + part * (bottom - top)) ** rho
    return torch.as_tensor(schedule.t_of_lambda(-levels.log()))


def ddpm_indices(steps: int, train_steps: int = 1000) -> Tensor:
    """t = k/train_steps at evenly spaced integers k, from train_steps down to 0 [steps + 1].

    The times of a DDPM chain of `train_steps` steps on [0, 1], strided; its coefficients go through
    the integral of beta (`ddpm_chain`), not through beta(t_k)/train_steps.
    """
    if steps > train_steps:
        raise ValueError(f"steps is {steps}; a chain of {train_steps} has no more than that")
    part = torch.linspace(1, 0, _some(steps) + 1, dtype=torch.float64)
    return (part * train_steps).round() / train_steps


def to_clean(grid: Tensor, schedule: Schedule) -> Tensor:
    """The grid and one last step to the schedule's cleanest time."""
    return torch.cat([grid, grid.new_tensor([schedule.valid_range[0]])])


def shifted(t: Tensor, shift: float) -> Tensor:
    """t -> shift t/(1 + (shift - 1) t): logit(t') = logit(t) + log shift. t in 0..1, ends kept.

    On rectified flow it divides every signal-to-noise ratio alpha/sigma by `shift`.
    """
    return shift * t / (1 + (shift - 1) * t)


def logsnr_timesteps(steps: int, logsnr_min: float = -6.0, logsnr_max: float = 2.0) -> Tensor:
    """The engine's grid: rectified flow, even in lambda, ends set to 1 and 0 (dossier §2.7).

    LMDM calls lambda = log((1 - t)/t) log-SNR. float64 [steps + 1].
    """
    timesteps = uniform_lambda(RectifiedFlow(), steps, logsnr_min, logsnr_max)
    timesteps[0], timesteps[-1] = 1.0, 0.0
    return timesteps


def shift_of_length(length: int) -> float:
    """The logit shift for sequences of `length` latent frames, 256..4096 (dossier §3)."""
    return 0.5 + 0.65 * (min(max(length, 256), 4096) - 256) / 3840


def length_shift(t: Tensor, length: int) -> Tensor:
    """logit(t') = logit(t) + shift: longer sequences train at more noise. t in 0..1."""
    return shifted(t, math.exp(shift_of_length(length)))


def inverse_length_shift(t: Tensor, length: int) -> Tensor:
    """Undoes `length_shift`."""
    return shifted(t, math.exp(-shift_of_length(length)))


def ddpm_chain(schedule: Schedule, grid: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha-bar, b) of the DDPM chain whose states stand at the rising times grid[1:].

    alpha-bar_k = alpha(t_k)^2 and b_k = 1 - alpha-bar_k/alpha-bar_{k-1}, the betas of DDPM code:
    1 - exp(-integral of beta) on VP. grid [N + 1] from 0; both [N].
    """
    bars = torch.as_tensor(schedule.alpha(grid)) ** 2
    return bars[1:], 1 - bars[1:] / bars[:-1]


def _some(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be 1 or more")
    return steps
