"""Videos that are a Gaussian process: the exact denoiser on any sub-grid is a Wiener filter (§6).

Covariances are separable, RBF in time (length l_t frames) and along rows and columns (l_s cells),
so the sub-sampled field is diagonal in the eigenbasis of its own sub-sampled covariances, and a
change of grid needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmdm.video.dvg.nested import Axes
from lmdm.video.dvg.planner import (
    Action,
    BudgetConfig,
    Choose,
    Shape,
    candidates,
    median_action,
    planned,
    random_action,
)
from lmdm.video.dvg.sampler import GrowingGrid, full_sample, sample
from lmdm.video.report import mean_and_error

SHAPE: Shape = (16, 24, 24)
CHANNELS = 32  # as many independent samples: band energies must be known to some percent
NUGGET = 1e-4  # a little white noise, as every real video has


@dataclass(frozen=True)
class Content:
    """Correlation lengths: small l_t is fast, small l_s is detailed."""

    time: float
    space: float


NAMED = {
    "slow, detailed": Content(8.0, 1.2),
    "balanced": Content(2.5, 2.5),
    "fast, smooth": Content(1.0, 6.0),
}


@lru_cache(maxsize=4096)
def eigen(points: tuple[int, ...], length: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues (rising, >= 0) and eigenvectors of the RBF covariance at these points."""
    place = torch.tensor(points, dtype=torch.float64)
    covariance = torch.exp(-0.5 * ((place[:, None] - place) / length) ** 2)
    values, vectors = torch.linalg.eigh(covariance)
    return values.clamp_min(0), vectors


def variances(content: Content, axes: Axes) -> tuple[Tensor, list[Tensor]]:
    """Variance of every eigenmode [T, H, W] on a sub-grid, and the three bases."""
    lengths = (content.time, content.space, content.space)
    each = [eigen(line, length) for line, length in zip(axes, lengths, strict=True)]
    (t, h, w), bases = [values for values, _ in each], [basis for _, basis in each]
    return t[:, None, None] * h[None, :, None] * w[None, None, :] + NUGGET, bases


def to_modes(x: Tensor, bases: list[Tensor]) -> Tensor:
    """[..., T, H, W] in the eigenbasis."""
    t, h, w = bases
    return torch.einsum("...thw,ti,hj,wk->...ijk", x, t, h, w)


def from_modes(modes: Tensor, bases: list[Tensor]) -> Tensor:
    """Undoes `to_modes`."""
    t, h, w = bases
    return torch.einsum("...ijk,ti,hj,wk->...thw", modes, t, h, w)


def velocity(content: Content, x: Tensor, t: float, axes: Axes) -> Tensor:
    """v = (x_t - E[x0 | x_t]) / t, E by the Wiener filter (1 - t) s / ((1 - t)^2 s + t^2)."""
    variance, bases = variances(content, axes)
    gain = (1 - t) * variance / ((1 - t) ** 2 * variance + t**2)
    modes = to_modes(x.double(), bases)
    return (from_modes((1 - gain) * modes, bases) / t).to(x)


def draw(content: Content, shape: Shape, channels: int, generator: torch.Generator) -> Tensor:
    """A true video [channels, T, H, W]."""
    axes: Axes = (tuple(range(shape[0])), tuple(range(shape[1])), tuple(range(shape[2])))
    variance, bases = variances(content, axes)
    modes = torch.randn(channels, *shape, generator=generator, dtype=torch.float64)
    return from_modes(modes * variance.sqrt(), bases)


def spectral_error(content: Content, videos: Tensor) -> float:
    """Mean |log(energy / true energy)| over the bands that carry energy, of videos [B, T, H, W].

    A band is an octave of the modes' ranks along time and along space; those with less than 1e-3 of
    all energy are left out.
    """
    shape = videos.shape[-3:]
    axes: Axes = (tuple(range(shape[0])), tuple(range(shape[1])), tuple(range(shape[2])))
    variance, bases = variances(content, axes)
    energy = to_modes(videos.double(), bases).square().mean(0)
    bands = _bands(tuple(shape))
    count = int(bands.max()) + 1
    true = torch.zeros(count, dtype=torch.float64).index_add_(0, bands, variance.flatten())
    ours = torch.zeros(count, dtype=torch.float64).index_add_(0, bands, energy.flatten())
    carries = true > 1e-3 * true.sum()
    return float((ours[carries] / true[carries]).log().abs().mean())


@lru_cache(maxsize=16)
def _bands(shape: tuple[int, int, int]) -> Tensor:
    """The band of every mode, flattened: octaves of rank from the strongest mode down."""
    octave = [
        torch.tensor([int(math.log2(size - index)) for index in range(size)]) for size in shape
    ]
    t = octave[0][:, None, None]
    s = torch.maximum(octave[1][None, :, None], octave[2][None, None, :])
    return (t * 8 + s).expand(shape).flatten()


# -- the comparison ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One way of planning on one content and seed."""

    content: Content
    seed: int
    policy: str
    action: Action | None
    error: float


def policies(config: BudgetConfig, seed: int) -> dict[str, tuple[BudgetConfig, Choose]]:
    """DVG and what it must beat at equal density, and DVG with a shift that hardly grows."""
    flat = replace(config, shifts=(3.0, 3.0, 3.0, 3.0))
    return {
        "dvg": (config, planned),
        "random action": (config, lambda c, *_: random_action(c, seed)),
        "median action": (config, lambda c, *_: median_action(c)),
        "pixel-heavy": (config, lambda c, *_: max(candidates(c), key=lambda a: a.spatial)),
        "frame-heavy": (config, lambda c, *_: max(candidates(c), key=lambda a: a.frames)),
        "dvg, shift 3": (flat, planned),
    }


def ablate(
    contents: list[Content], seeds: int, config: BudgetConfig, channels: int = CHANNELS
) -> Iterator[Row]:
    """Every policy, and the full grid, on every content and seed."""
    for content in contents:

        def network(x: Tensor, t: float, axes: Axes, content: Content = content) -> Tensor:
            return velocity(content, x, t, axes)

        for seed in range(seeds):
            full = full_sample(
                network, channels, config.shape, config.steps, config.shifts[-1], 1000 + seed
            )
            yield Row(content, seed, "full", None, spectral_error(content, full[0]))
            for name, (settings, choose) in policies(config, seed).items():
                grid = GrowingGrid(settings, choose, seed=1000 + seed)
                video = sample(network, channels, grid, lambda _: None)
                yield Row(
                    content, seed, name, grid.report.action, spectral_error(content, video[0])
                )


def random_contents(count: int, seed: int = 0) -> list[Content]:
    """Lengths spread evenly in the logarithm: l_t in 1..8, l_s in 1.2..6."""
    generator = np.random.default_rng(seed)
    return [
        Content(
            float(np.exp(generator.uniform(0, np.log(8)))),
            float(np.exp(generator.uniform(np.log(1.2), np.log(6)))),
        )
        for _ in range(count)
    ]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Mean error by policy, paired differences from DVG with standard errors, and the verdict.

    Falsified if DVG is not better than a random and than the median action, on average.
    """
    by: dict[str, list[float]] = {}
    for row in rows:
        by.setdefault(row.policy, []).append(row.error)
    ours = by["dvg"]
    compared = {}
    for name, errors in by.items():
        mean, error = mean_and_error([b - a for a, b in zip(ours, errors, strict=True)])
        compared[name] = {
            "error": sum(errors) / len(errors),
            "above_dvg": mean,
            "standard_error": error,
        }
    better = {name: compared[name]["above_dvg"] > 0 for name in ("random action", "median action")}
    return {"policies": compared, "better_than": better, "falsified": not all(better.values())}
