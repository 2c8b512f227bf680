"""Long rollouts: seams between blocks, drift of loudness and of latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate.distances import channels, magnitudes

SAMPLE_RATE = 44100
FLUX_SIZE, FLUX_HOP = 1024, 256  # samples
SEAM_SECONDS = 0.05  # to both sides of a join

Array = NDArray[np.float32]
Double = NDArray[np.float64]


def spectral_flux(sound: Array) -> tuple[Double, Double]:
    """Times in s [n] and flux [n]: the mean absolute change of compressed magnitudes in one hop."""
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    compressed = np.log1p(1000 * magnitudes(mono, FLUX_SIZE, FLUX_HOP))
    flux = np.abs(np.diff(compressed, axis=0)).mean(axis=1)
    times = ((np.arange(len(flux)) + 0.5) * FLUX_HOP + FLUX_SIZE / 2) / SAMPLE_RATE
    return times, flux


def seam_flux_ratio(sound: Array, block_samples: int) -> float:
    """Mean flux within 50 ms of block joins over the mean elsewhere; 1 is seamless.

    Blocks must last longer than 0.1 s, or nothing lies elsewhere (then it is nan).
    """
    times, flux = spectral_flux(sound)
    block = block_samples / SAMPLE_RATE
    distance = np.abs(times - np.round(times / block) * block)
    after = times > block / 2  # the beginning is no join
    near, flux = distance[after] < SEAM_SECONDS, flux[after]
    if not near.any() or near.all():
        return float("nan")
    return float(flux[near].mean() / max(float(flux[~near].mean()), 1e-12))


def level_db(sound: Array) -> float:
    """RMS over all samples and channels in dB re full scale, at least -120."""
    power = np.mean([np.mean(c.astype(np.float64) ** 2) for c in channels(sound)])
    return float(10 * np.log10(max(float(power), 1e-12)))


@dataclass(frozen=True)
class Drift:
    """A rollout's windows in order. Loudness in dB; latent statistics in units of the reference."""

    window_seconds: float
    loudness: tuple[float, ...]
    high_share_db: tuple[float, ...]  # energy above 8 kHz over all
    latent_mean: tuple[float, ...]  # root mean square over channels of the mean's distance
    latent_std: tuple[float, ...]  # geometric mean over channels of the ratio of deviations

    @property
    def loudness_drift(self) -> float:
        """Last window less the first, in dB."""
        return self.loudness[-1] - self.loudness[0]

    def to_dict(self) -> dict[str, float | list[float]]:
        """JSON form."""
        return {
            "window_seconds": self.window_seconds,
            "loudness_drift_db": round(self.loudness_drift, 3),
            "loudness_db": [round(v, 2) for v in self.loudness],
            "high_share_db": [round(v, 2) for v in self.high_share_db],
            "latent_mean": [round(v, 4) for v in self.latent_mean],
            "latent_std": [round(v, 4) for v in self.latent_std],
        }


def drift(sound: Array, latents: Array, reference: Array, window_seconds: float = 20.0) -> Drift:
    """Drift of a rollout over windows of equal length.

    sound [S, 2]; latents [C, T] of the same stretch; reference [C, n]: latents of real sound, whose
    mean and deviation a channel are the units. A stretch shorter than two windows is halved.
    """
    count = max(2, round(len(sound) / SAMPLE_RATE / window_seconds))
    sounds = np.array_split(sound, count)
    blocks = np.array_split(latents.astype(np.float64), count, axis=1)
    mean, std = reference.mean(axis=1, dtype=np.float64), reference.std(axis=1, dtype=np.float64)
    std = np.maximum(std, 1e-6)
    return Drift(
        window_seconds=len(sound) / SAMPLE_RATE / count,
        loudness=tuple(level_db(each) for each in sounds),
        high_share_db=tuple(high_share_db(each) for each in sounds),
        latent_mean=tuple(
            float(np.sqrt(np.mean(((each.mean(axis=1) - mean) / std) ** 2))) for each in blocks
        ),
        latent_std=tuple(
            float(np.exp(np.mean(np.log(np.maximum(each.std(axis=1), 1e-6) / std))))
            for each in blocks
        ),
    )


def high_share_db(sound: Array, above: float = 8000.0) -> float:
    """Energy above a frequency in Hz over all energy, in dB, at least -120."""
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    power = (magnitudes(mono, FLUX_SIZE, FLUX_SIZE // 2) ** 2).sum(axis=0)
    first = round(above * FLUX_SIZE / SAMPLE_RATE)
    share = float(power[first:].sum()) / max(float(power.sum()), 1e-20)
    return float(10 * np.log10(max(share, 1e-12)))


def frechet_distance(one: Array, other: Array) -> float:
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
