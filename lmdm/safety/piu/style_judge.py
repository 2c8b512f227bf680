"""The recogniser of the music experiment: spectral statistics, projected to tell styles apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

BANDS, LOWEST, HIGHEST = 40, 60.0, 16_000.0  # Hz
WINDOW, HOP = 2048, 512


@dataclass(frozen=True)
class StyleJudge:
    """Sound [N, 2, S] -> embeddings of unit length [N, E], in which styles lie apart.

    A linear discriminant, shrunk since examples are few, of standardised statistics.
    """

    centre: Array
    scale: Array
    projection: Array

    @classmethod
    def fit(cls, sound: Tensor, labels: NDArray[np.int64]) -> StyleJudge:
        """From sound whose styles [N] are known."""
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        features = statistics(sound)
        centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
        found = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5)
        found.fit((features - centre) / scale, labels)
        return cls(centre, scale, found.scalings_[:, : len(set(labels.tolist())) - 1])

    def __call__(self, sound: Tensor) -> Array:
        """See the class."""
        projected = ((statistics(sound) - self.centre) / self.scale) @ self.projection
        return np.asarray(projected / np.linalg.norm(projected, axis=1, keepdims=True))


def statistics(sound: Tensor) -> Array:
    """Spectral statistics [N, 3 · 40] of sound [N, 2, S] at 44.1 kHz.

    Log energies in 40 bands: their means, their deviations, and how much they change a hop. What
    they see is timbre and movement, not pitch.
    """
    window = torch.hann_window(WINDOW, device=sound.device)
    spectrum = torch.stft(sound.mean(dim=1), WINDOW, HOP, window=window, return_complex=True)
    power = spectrum.abs().square()
    frequencies = torch.fft.rfftfreq(WINDOW, 1 / 44_100)
    edges = torch.from_numpy(np.geomspace(LOWEST, HIGHEST, BANDS + 1))
    weights = torch.stack(
        [
            ((frequencies >= low - 11) & (frequencies < high + 11)).float()
            for low, high in pairwise(edges)
        ]
    )
    weights = weights / weights.sum(dim=1, keepdim=True)
    bands = torch.log(weights.to(power) @ power + 1e-6)
    moved = (bands[..., 1:] - bands[..., :-1]).abs().mean(dim=-1)
    parts = [bands.mean(dim=-1), bands.std(dim=-1), moved]
    return torch.cat(parts, dim=1).double().cpu().numpy()
