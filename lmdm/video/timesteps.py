"""Timesteps of the flow video models: an even grid, moved to the noisy side by a shift."""

from __future__ import annotations

import torch
from torch import Tensor


def shifted(u: Tensor, shift: float) -> Tensor:
    """t = shift u / (1 + (shift - 1) u), i.e. logit t = logit u + log shift. u in 0..1."""
    return shift * u / (1 + (shift - 1) * u)


def flow_timesteps(steps: int, shift: float) -> Tensor:
    """steps + 1 falling timesteps from 1 (noise) to 0 (data), float64.

    Raises:
        ValueError: no step, or a shift that is not above 0.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"steps is {steps} and shift {shift:g}; both must be above 0")
    even = (steps - torch.arange(steps + 1, dtype=torch.float64)) / steps
    return shifted(even, shift)
