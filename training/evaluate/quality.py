"""How good a rendition sounds beside its original: ViSQOL, or the similarity it is built on."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from training.evaluate.distances import FLOOR_DB, log_mel

SAMPLE_RATE = 44100
VISQOL_RATE = 48000  # Hz, of ViSQOL's audio mode

Array = NDArray[np.float32]


class Quality(Protocol):
    """Compares a rendition with its original; higher is better."""

    @property
    def name(self) -> str:
        """As reports call it, with its range."""
        ...

    def compare(self, reference: Array, sound: Array) -> float:
        """reference, sound [S, 2] at 44.1 kHz, in time with each other."""
        ...


def best_quality() -> Quality:
    """ViSQOL if it is installed with its libsvm, else mel similarity."""
    installed = all(importlib.util.find_spec(each) for each in ("visqol", "libsvm"))
    return Visqol() if installed else MelSimilarity()


class Visqol:
    """ViSQOL v3 in audio mode (Chinen et al., QoMEX 2020; Apache-2.0), on the mean of channels."""

    name = "ViSQOL 3 MOS-LQO (1..5, mono)"

    def __init__(self) -> None:
        self._api: Any = importlib.import_module("visqol").VisqolApi()
        self._api.create(mode="audio")

    def compare(self, reference: Array, sound: Array) -> float:
        """See `Quality`."""
        length = min(len(reference), len(sound))
        pair = [
            soxr.resample(each[:length].mean(axis=1, dtype=np.float64), SAMPLE_RATE, VISQOL_RATE)
            for each in (reference, sound)
        ]
        return float(self._api.measure_from_arrays(*pair, VISQOL_RATE).moslqo)


class MelSimilarity:
    """The fallback: NSIM (Hines & Harte, 2012), which ViSQOL rests on, of log-mel spectrograms.

    It knows nothing of listeners' scores, and reports name it.
    """

    name = "log-mel similarity (0..1; fallback: visqol-python is not installed)"

    def compare(self, reference: Array, sound: Array) -> float:
        """See `Quality`."""
        length = min(len(reference), len(sound))
        a, b = (log_mel(each[:length].mean(axis=1)) - FLOOR_DB for each in (reference, sound))
        return nsim(a, b, -FLOOR_DB)


def nsim(a: NDArray[np.float64], b: NDArray[np.float64], span: float) -> float:
    """Mean over 3 x 3 patches of intensity times structure, for values 0..span (eq. 1)."""
    intensity, structure = 0.01 * span, 0.03 * span

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(uniform_filter(values, 3, mode="nearest"))

    mean_a, mean_b = mean(a), mean(b)
    variance_a = np.maximum(mean(a * a) - mean_a**2, 0.0)
    variance_b = np.maximum(mean(b * b) - mean_b**2, 0.0)
    together = mean(a * b) - mean_a * mean_b
    bright = (2 * mean_a * mean_b + intensity**2) / (mean_a**2 + mean_b**2 + intensity**2)
    shaped = (together + structure**2) / (np.sqrt(variance_a * variance_b) + structure**2)
    return float((bright * shaped).mean())
