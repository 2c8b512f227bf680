"""Carries the sound that is heard from the output thread to the pictures drawn of it."""

from __future__ import annotations

from collections import deque

import numpy as np

Pcm = np.ndarray  # float32 [samples, 2], 44.1 kHz


class Hearing:
    """The newest sound that has not been drawn yet.

    Threads: one thread calls `hear` (it only appends to a bounded deque, so it never waits); one
    other calls `take`. When nobody draws, the oldest pieces are forgotten.
    """

    def __init__(self, pieces: int = 512) -> None:
        self._pieces: deque[Pcm] = deque(maxlen=pieces)

    def hear(self, pcm: Pcm, _position: int = 0) -> None:
        """A piece of sound [samples, 2] on its way to the device (the shape of a `Player` tap)."""
        self._pieces.append(pcm)

    def take(self) -> Pcm:
        """All sound since the last call [samples, 2]; empty when there was none."""
        taken = []
        while True:
            try:
                taken.append(self._pieces.popleft())
            except IndexError:
                break
        return np.concatenate(taken) if taken else np.zeros((0, 2), np.float32)
