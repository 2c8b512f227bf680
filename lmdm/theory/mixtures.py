"""Two-dimensional data with exact scores, to look at samplers: presets and a distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lmdm.diffusion.gaussian import MixtureData

PRESETS = ("ring", "grid", "gaussian")


def preset(name: str) -> MixtureData:
    """One of PRESETS: eight pieces on a ring, nine on a grid, or one."""
    if name == "ring":
        angles = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
        means = torch.stack([angles.cos(), angles.sin()], 1)
    elif name == "grid":
        side = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
        means = torch.cartesian_prod(side, side)
    else:
        means = torch.tensor([[0.6, -0.3]], dtype=torch.float64)
    weights = torch.full((len(means),), 1.0 / len(means), dtype=torch.float64)
    return MixtureData(weights, means, 0.25 if name == "gaussian" else 0.02)


def sliced_w2(one: Tensor, other: Tensor, directions: int = 64) -> float:
    """Sliced 2-Wasserstein distance of two equally large samples [N, 2], over even directions."""
    angles = math.pi * torch.arange(directions, dtype=one.dtype) / directions
    lines = torch.stack([angles.cos(), angles.sin()])
    along = [(each @ lines).sort(0).values for each in (one, other)]
    return float((along[0] - along[1]).square().mean().sqrt())
