"""Low-pass and high-pass of the output: second order, Butterworth, turned without clicks.

A piece of n samples goes through at once: the filter's state and the piece give the output and the
next state by four matrices, which depend on the cutoff and n alone. When the cutoff changes, both
filters run over one piece from the same state and the output is crossfaded.

    >>> low = Filter("low", rate=48000, channels=1)
    >>> tone = np.sin(2 * np.pi * 8000 * np.arange(48000) / 48000)[:, None].astype(np.float32)
    >>> low.cutoff = 500.0
    >>> out = np.concatenate([low.process(tone[at : at + 240]) for at in range(0, 48000, 240)])
    >>> bool(abs(out[4800:]).max() < 0.005)
    True

Source: state-variable filter with trapezoidal integrators, Zavalishin, The Art of VA Filter Design
(2018), section 4.1; Q = 1/sqrt(2) is Butterworth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Matrix = NDArray[np.float64]

LOWEST, HIGHEST = 20.0, 20000.0  # Hz; a cutoff lies between, and below 0.45 of the rate
_DAMPING = np.sqrt(2.0)  # 1/Q


@dataclass(frozen=True)
class FilterState:
    """All that a filter remembers; arrays are never written to, so a state may be kept."""

    cutoff: float | None
    integrators: Matrix  # [2, channels]


@dataclass(frozen=True)
class _Piece:
    """Of n samples: y = output @ s + response @ x, and the next s = step @ s + input @ x."""

    output: Matrix  # [n, 2]
    response: Matrix  # [n, n]
    step: Matrix  # [2, 2]
    input: Matrix  # [2, n]


class Filter:
    """One filter for frames [n, channels]; pieces of equal length are fastest.

    Threads: none; one owner.
    """

    def __init__(self, kind: Literal["low", "high"], rate: int, channels: int = 2) -> None:
        """Starts open: what comes in goes out."""
        self._kind, self._rate = kind, rate
        self.cutoff: float | None = None  # Hz; None is open
        self.state = FilterState(None, np.zeros((2, channels)))

    def process(self, pcm: Audio) -> Audio:
        """Filters frames [n, channels]; the very same array while it is open."""
        state, wanted = self.state, self._limited(self.cutoff)
        if (state.cutoff is None and wanted is None) or len(pcm) == 0:
            return pcm
        before, integrators = self._through(pcm, state.cutoff, state.integrators)
        after = before
        if wanted != state.cutoff:
            after, integrators = self._through(pcm, wanted, state.integrators)
            share = (np.arange(1, len(pcm) + 1) / len(pcm))[:, None]
            after = before + (after - before) * share
        self.state = FilterState(wanted, integrators)
        return after.astype(np.float32)

    def _limited(self, cutoff: float | None) -> float | None:
        return None if cutoff is None else min(max(cutoff, LOWEST), HIGHEST, 0.45 * self._rate)

    def _through(
        self, pcm: Audio, cutoff: float | None, integrators: Matrix
    ) -> tuple[Matrix, Matrix]:
        audio = pcm.astype(np.float64)
        if cutoff is None:
            return audio, np.zeros_like(integrators)
        piece = _matrices(self._kind, cutoff / self._rate, len(pcm))
        out = piece.output @ integrators + piece.response @ audio
        return out, piece.step @ integrators + piece.input @ audio


@lru_cache(maxsize=64)
def _matrices(kind: str, frequency: float, count: int) -> _Piece:
    """Matrices of a cutoff, as a share of the sample rate, for pieces of `count` samples."""
    g = np.tan(np.pi * frequency)
    d = 1.0 / (1.0 + _DAMPING * g + g * g)
    # One sample: v1 = d (s1 + g (x - s2)) is the band-pass, v2 = s2 + g v1 the low-pass output;
    # then s1' = 2 v1 - s1 and s2' = 2 v2 - s2.
    step = np.array([[2 * d - 1, -2 * d * g], [2 * d * g, 1 - 2 * d * g * g]])
    drive = np.array([2 * d * g, 2 * d * g * g])
    low, through = np.array([d * g, 1 - d * g * g]), d * g * g
    if kind == "high":  # x - k v1 - v2
        low = -_DAMPING * np.array([d, -d * g]) - low
        through = 1.0 - _DAMPING * d * g - through
    powers = [np.eye(2)]
    while len(powers) < count + 1:  # step^0 to step^count, by doubling
        powers += [powers[-1] @ step @ power for power in powers[: count + 1 - len(powers)]]
    stacked = np.stack(powers)
    impulse = np.concatenate(([through], stacked[: count - 1] @ drive @ low))
    delays = np.arange(count)[:, None] - np.arange(count)[None, :]
    response = np.where(delays >= 0, impulse[np.maximum(delays, 0)], 0.0)
    return _Piece(
        output=low @ stacked[:count],
        response=response,
        step=stacked[count],
        input=(stacked[:count] @ drive)[::-1].T.copy(),
    )
