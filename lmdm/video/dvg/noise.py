"""Coordinate noise: a point of the full grid has the same Gaussian noise in every stage (§2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lmdm.video.dvg.nested import Axes

SEED = 12345
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: np.ndarray) -> np.ndarray:
    """SplitMix64's step: an increment and its finaliser, on uint64."""
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def coordinate_noise(axes: Axes, channels: int, seed: int = SEED) -> Tensor:
    """Standard normal [channels, T, H, W], a function of (t, h, w, channel, seed) alone.

    The hash of the coordinates gives two uniforms, and Box-Muller one Gaussian of them.
    """
    lines = [np.asarray(line, dtype=np.uint64) for line in (np.arange(channels), *axes)]
    state = _mixed(np.full((1, 1, 1, 1), seed, dtype=np.uint64))
    for dimension, line in enumerate(lines):
        shape = [1, 1, 1, 1]
        shape[dimension] = len(line)
        state = _mixed(state ^ _mixed(line.reshape(shape)))
    first = _uniform(state)
    second = _uniform(_mixed(state ^ _GOLDEN))
    normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
    return torch.from_numpy(np.ascontiguousarray(normal)).float()


def _uniform(bits: np.ndarray) -> np.ndarray:
    """In (0, 1): 53 bits, never 0."""
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
