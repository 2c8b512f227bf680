"""What the model gives, made fit for loudspeakers: finite, and without DC.

NaN and infinity become 0. A first-order high-pass takes out DC, which would eat headroom and click
on every mute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

_PIECE = 2048  # samples handled at once; bounds the exponent in the closed form
_LARGEST = 1e6  # +120 dBFS; finite but absurd input is clipped here so that nothing overflows


def finite(pcm: Audio) -> NDArray[np.float64]:
    """The samples as float64, NaN and infinity as 0, the absurd clipped at +120 dBFS."""
    audio = np.nan_to_num(pcm.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(audio, -_LARGEST, _LARGEST)


class DCBlock:
    """y[n] = x[n] - x[n-1] + a y[n-1] on frames [n, channels], streamed in pieces of any size."""

    def __init__(self, rate: int, channels: int = 2, cutoff_hz: float = 3.0) -> None:
        """`cutoff_hz`: frequency at which 3 dB are lost."""
        self._decay = float(np.exp(-2.0 * np.pi * cutoff_hz / rate))
        self._input = np.zeros(channels)
        self._output = np.zeros(channels)

    def process(self, pcm: Audio) -> Audio:
        """Filters frames of any values; returns finite ones of the same shape."""
        filtered = np.empty(pcm.shape, np.float32)
        for start in range(0, len(pcm), _PIECE):
            # The recursion in closed form: a cumulative sum weighted by powers of a.
            audio = finite(pcm[start : start + _PIECE])
            change = np.diff(audio, axis=0, prepend=self._input[None])
            powers = self._decay ** np.arange(1, len(audio) + 1)[:, None]
            output = powers * (self._output + np.cumsum(change / powers, axis=0))
            self._input, self._output = audio[-1], output[-1]
            filtered[start : start + _PIECE] = output
        return filtered
