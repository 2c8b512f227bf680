"""Drift by time: Fréchet distances and Gaussian KL of clouds, slopes, intervals (dossier §8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cloud = NDArray[Any]  # [C, frames]


def frechet_distance(one: Cloud, other: Cloud) -> float:
    """Fréchet distance of Gaussians fitted to two clouds [C, n] and [C, m] (Heusel et al., 2017).

    |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½); the trace of the root is taken over the symmetric
    S1^½ S2 S1^½.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    first, second = np.atleast_2d(np.cov(a)), np.atleast_2d(np.cov(b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ second @ root)
    trace = float(np.trace(first) + np.trace(second) - 2 * np.sqrt(np.maximum(product, 0)).sum())
    return float(np.sum((a.mean(axis=1) - b.mean(axis=1)) ** 2)) + trace


def latent_frechet(cloud: Cloud, reference: Cloud) -> float:
    """Fréchet distance of the Gaussians of two clouds, in units of the reference's deviations."""
    scale = np.maximum(reference.std(axis=1, keepdims=True), 1e-6)
    return frechet_distance(cloud / scale, reference / scale)


def diagonal_kl(cloud: Cloud, reference: Cloud) -> float:
    """KL(N(cloud) | N(reference)) of diagonal Gaussians, mean over channels, in nats."""
    mean, other = cloud.mean(axis=1), reference.mean(axis=1)
    variance = np.maximum(cloud.var(axis=1), 1e-9)
    wanted = np.maximum(reference.var(axis=1), 1e-9)
    terms = variance / wanted + (mean - other) ** 2 / wanted - 1 - np.log(variance / wanted)
    return float(0.5 * terms.mean())


def by_window(clouds: Sequence[Cloud], frames: int) -> list[Cloud]:
    """Clouds [C, T] cut into stretches of `frames`; those of the same time are pooled."""
    count = min(cloud.shape[1] for cloud in clouds) // frames
    return [
        np.concatenate([cloud[:, n * frames : (n + 1) * frames] for cloud in clouds], axis=1)
        for n in range(count)
    ]


def slope_per_minute(times: Sequence[float], values: Sequence[float]) -> float:
    """Least-squares slope of values over times in s, per minute; 0 for fewer than two."""
    if len(times) < 2:
        return 0.0
    t, v = np.asarray(times, np.float64), np.asarray(values, np.float64)
    centred = t - t.mean()
    return float(60.0 * (centred @ v) / (centred @ centred))


def bootstrap_interval(
    values: Sequence[float], draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean over rollouts."""
    sample = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    means = sample[generator.integers(0, len(sample), (draws, len(sample)))].mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
