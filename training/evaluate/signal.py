"""What a sound measures by itself: level, treble, centre, crest, width, seams between blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluate.distances import channels, magnitudes

SAMPLE_RATE = 44100
FLUX_SIZE, FLUX_HOP = 1024, 256  # samples
SIZE = 2048  # samples of a spectrum
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


def high_share_db(sound: Array, above: float = 8000.0) -> float:
    """Energy above a frequency in Hz over all energy, in dB, at least -120."""
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    power = (magnitudes(mono, FLUX_SIZE, FLUX_SIZE // 2) ** 2).sum(axis=0)
    first = round(above * FLUX_SIZE / SAMPLE_RATE)
    share = float(power[first:].sum()) / max(float(power.sum()), 1e-20)
    return float(10 * np.log10(max(share, 1e-12)))


def centroid(sound: Array) -> float:
    """Power-weighted mean frequency in Hz; 0 for silence."""
    power = np.mean(
        [(magnitudes(c, SIZE, SIZE) ** 2).mean(axis=0) for c in channels(sound)], axis=0
    )
    frequency = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    return float(frequency @ power / power.sum()) if power.sum() > 0 else 0.0


def width(sound: Array) -> float:
    """RMS of the side over that of the mid: 0 is mono."""
    mid, side = sound.mean(axis=1), (sound[:, 0] - sound[:, 1]) / 2
    return float(np.sqrt((side**2).mean() / max(float((mid**2).mean()), 1e-12)))


def crest_db(sound: Array) -> float:
    """Peak over RMS in dB."""
    peak = float(np.abs(sound).max(initial=0.0))
    return 20 * np.log10(max(peak, 1e-6)) - level_db(sound)
