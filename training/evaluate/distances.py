"""Distances between two sounds: log-mel, multi-resolution STFT, SI-SDR, average spectrum."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

SAMPLE_RATE = 44100
MEL_BANDS = 80
MEL_SIZE, MEL_HOP = 2048, 512
RESOLUTIONS = (512, 1024, 2048, 4096)  # window lengths in samples; the hop is a quarter
FLOOR_DB = -80.0  # levels below this count as this

Array = NDArray[np.float32]
Double = NDArray[np.float64]


def magnitudes(sound: Array, size: int, hop: int) -> Double:
    """sound [S] -> Hann STFT magnitudes [frames, size // 2 + 1]; a full-scale sine is 1/2."""
    padded = np.pad(sound.astype(np.float64), (0, max(0, size - len(sound))))
    _, _, bins = stft(padded, nperseg=size, noverlap=size - hop, boundary=None, padded=False)
    return np.abs(bins).T


@lru_cache(maxsize=4)
def mel_bands(size: int = MEL_SIZE, bands: int = MEL_BANDS) -> Double:
    """[size // 2 + 1, bands]: triangles even in mel (HTK) from 40 Hz to 20 kHz, each of sum 1."""
    mel = np.linspace(2595 * np.log10(1 + 40 / 700), 2595 * np.log10(1 + 20000 / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    weight = np.maximum(0.0, np.minimum(rising, falling))
    total = weight.sum(axis=0)
    nearest = np.abs(frequency - edges[1:-1]).argmin(axis=0)
    for band in np.flatnonzero(total == 0.0):  # narrower than a bin
        weight[nearest[band], band] = 1.0
    return np.asarray(weight / weight.sum(axis=0))


def decibels(magnitude: Double) -> Double:
    """20 log10, not below `FLOOR_DB`."""
    return 20 * np.log10(np.maximum(magnitude, 10 ** (FLOOR_DB / 20)))


def log_mel(sound: Array) -> Double:
    """sound [S] -> [frames, 80] in dB re full scale, about."""
    power = magnitudes(sound, MEL_SIZE, MEL_HOP) ** 2 @ mel_bands()
    return decibels(np.sqrt(power))


def channels(sound: Array) -> list[Array]:
    """[S] or [S, C] -> its channels."""
    return [sound] if sound.ndim == 1 else list(sound.T)


def paired(one: Array, other: Array) -> list[tuple[Array, Array]]:
    """Channel pairs of two sounds, cut to the shorter length."""
    length = min(len(one), len(other))
    return list(zip(channels(one[:length]), channels(other[:length]), strict=True))


def log_mel_distance(reference: Array, sound: Array) -> float:
    """Mean absolute difference of log-mel levels in dB, averaged over channels."""
    return float(
        np.mean([np.abs(log_mel(a) - log_mel(b)).mean() for a, b in paired(reference, sound)])
    )


def stft_distance(reference: Array, sound: Array) -> float:
    """Spectral convergence plus log-magnitude difference (nepers), mean over resolutions.

    As in Parallel WaveGAN (Yamamoto et al., 2020, eqs. 3 and 4); 0 is equal.
    """
    values = []
    for a, b in paired(reference, sound):
        for size in RESOLUTIONS:
            want, got = magnitudes(a, size, size // 4), magnitudes(b, size, size // 4)
            convergence = np.linalg.norm(want - got) / max(float(np.linalg.norm(want)), 1e-9)
            logs = np.abs(decibels(want) - decibels(got)).mean() * np.log(10) / 20
            values.append(float(convergence + logs))
    return float(np.mean(values))


def si_sdr(reference: Array, sound: Array) -> float:
    """Scale-invariant signal-to-distortion ratio in dB over all channels (Le Roux et al., 2019)."""
    length = min(len(reference), len(sound))
    want = reference[:length].astype(np.float64).ravel()
    got = sound[:length].astype(np.float64).ravel()
    energy = float(want @ want)
    if energy <= 0.0:
        return 0.0
    target = want * (float(got @ want) / energy)
    error = got - target
    return float(
        10 * np.log10(max(float(target @ target), 1e-20) / max(float(error @ error), 1e-20))
    )


def average_spectrum(sound: Array, size: int = 8192) -> Double:
    """Long-term average spectrum [size // 2 + 1] in dB, power mean over time and channels."""
    power = np.mean(
        [(magnitudes(c, size, size // 2) ** 2).mean(axis=0) for c in channels(sound)], axis=0
    )
    return 10 * np.log10(np.maximum(power, 1e-12))


def average_mel_distance(reference: Array, sound: Array) -> float:
    """Mean absolute difference in dB of the two average spectra in 80 mel bands."""
    levels = []
    for each in (reference, sound):
        power = np.mean(
            [(magnitudes(c, MEL_SIZE, MEL_HOP) ** 2).mean(axis=0) for c in channels(each)], axis=0
        )
        levels.append(decibels(np.sqrt(power @ mel_bands())))
    return float(np.abs(levels[0] - levels[1]).mean())


def grid_tone(spectrum: Double, size: int, spacing: float) -> float:
    """How far the multiples of `spacing` Hz stand out of an average spectrum, in dB.

    Mean of each multiple's level less the median of its surroundings, 200 Hz to 16 kHz: about 0
    without a tone at the frame rate. Compare with the same of the original.
    """
    width = SAMPLE_RATE / size
    multiples = np.arange(np.ceil(200 / spacing), np.floor(16000 / spacing)) * spacing
    excess = []
    for frequency in multiples:
        centre = round(frequency / width)
        around = spectrum[max(0, centre - 8) : centre + 9]
        excess.append(spectrum[centre] - np.median(around))
    return float(np.mean(excess))


def strongest_new_tone(
    original: Double, sound: Double, size: int, above: float = 1000.0
) -> tuple[float, float]:
    """Frequency in Hz and excess in dB of the tone that a rendition most adds to a sound.

    original, sound: average spectra of the same music in windows of `size` samples. A tone's height
    is its level less the median within 80 Hz; the excess is how much higher it stands than before.
    """
    reach = max(1, round(80 * size / SAMPLE_RATE))
    heights = []
    for spectrum in (original, sound):
        padded = np.pad(spectrum, reach, mode="edge")
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
        heights.append(spectrum - np.median(around, axis=1))
    excess = heights[1] - heights[0]
    excess[: round(above * size / SAMPLE_RATE)] = 0.0
    at = int(np.argmax(excess))
    return at * SAMPLE_RATE / size, float(excess[at])
