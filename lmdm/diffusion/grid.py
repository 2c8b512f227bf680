"""Timesteps of rectified flow: even in log-SNR for sampling, shifted by length in training."""

from __future__ import annotations

import torch
from torch import Tensor


def logsnr_timesteps(steps: int, logsnr_min: float = -6.0, logsnr_max: float = 2.0) -> Tensor:
    """steps + 1 falling timesteps from 1 to 0, even in log-SNR between (dossier §2.7).

    float64 [steps + 1]; t = sigmoid(-logSNR), then the ends are set to 1 and 0.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be 1 or more")
    logsnr = torch.linspace(logsnr_min, logsnr_max, steps + 1, dtype=torch.float64)
    timesteps = torch.sigmoid(-logsnr)
    timesteps[0], timesteps[-1] = 1.0, 0.0
    return timesteps


def shift_of_length(length: int) -> float:
    """The logit shift for sequences of `length` latent frames, 256..4096 (dossier §3)."""
    return 0.5 + 0.65 * (min(max(length, 256), 4096) - 256) / 3840


def length_shift(t: Tensor, length: int) -> Tensor:
    """logit(t') = logit(t) + shift: longer sequences train at more noise. t in 0..1."""
    return torch.sigmoid(torch.logit(t) + shift_of_length(length))


def inverse_length_shift(t: Tensor, length: int) -> Tensor:
    """Undoes `length_shift`."""
    return torch.sigmoid(torch.logit(t) - shift_of_length(length))
