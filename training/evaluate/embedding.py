"""Frozen embeddings of sound for Fréchet distances and prompt adherence."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.evaluate import musicnn
from training.evaluate.distances import log_mel

HOP_SECONDS = 1.0
PATCH_SECONDS = 3.0

Array = NDArray[np.float32]


class Embedding(Protocol):
    """Maps stretches of about three seconds to vectors."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def words(self) -> tuple[str, ...]:
        """What the tags are called; none if it has none."""
        ...

    def embed(self, sound: Array, rate: int) -> tuple[Array, Array]:
        """sound [S, 2] -> vectors [N, D] and tag probabilities [N, len(words)], one each second."""
        ...


def best_embedding() -> Embedding:
    """musicnn if it is installed, else log-mel statistics."""
    path = musicnn.checkpoint_path()
    return MelStatistics() if path is None else MusicnnEmbedding(musicnn.MusicNN(path))


class MusicnnEmbedding:
    """MSD_musicnn's penultimate layer (200-d) and its 50 tags."""

    name = "musicnn 0.1.0 (MSD, 16 kHz mono: blind above 8 kHz and to stereo)"
    words = musicnn.MSD_TAGS

    def __init__(self, network: musicnn.MusicNN) -> None:
        self._network = network

    def embed(self, sound: Array, rate: int) -> tuple[Array, Array]:
        """See `Embedding`."""
        cut = musicnn.patches(sound, rate, HOP_SECONDS)
        parts = [self._network(cut[at : at + 16]) for at in range(0, len(cut), 16)]
        return (
            np.concatenate([features for features, _ in parts]),
            np.concatenate([tags for _, tags in parts]),
        )


class MelStatistics:
    """The fallback: mean and deviation of every log-mel band over three seconds (160-d)."""

    name = "log-mel statistics (fallback; musicnn is not installed)"
    words: tuple[str, ...] = ()

    def embed(self, sound: Array, rate: int) -> tuple[Array, Array]:
        """See `Embedding`."""
        mono = sound if sound.ndim == 1 else sound.mean(axis=1)
        level = log_mel(mono)
        per_second = len(level) / (len(mono) / rate)
        size, hop = round(PATCH_SECONDS * per_second), round(HOP_SECONDS * per_second)
        starts = range(0, max(1, len(level) - size + 1), hop)
        cut = [level[start : start + size] for start in starts]
        vectors = [np.concatenate([each.mean(axis=0), each.std(axis=0)]) for each in cut]
        return np.array(vectors, np.float32), np.zeros((len(cut), 0), np.float32)
