"""The output fader: gain changes that never click.

>>> fader = Fader(rate=48000)
>>> fader.set_gain(0.0)
>>> float(fader.process(np.ones((480, 1), np.float32))[-1, 0])  # 10 ms later
0.0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

RAMP_SECONDS = 0.010


def amplitude(decibels: float) -> float:
    """Linear factor of a level in dB; at -90 dB and below it is 0."""
    return 0.0 if decibels <= -90.0 else float(10.0 ** (decibels / 20.0))


@dataclass(frozen=True)
class FaderState:
    """Where the fader stands: current gain, the gain it moves to, samples until it is there."""

    current: float
    target: float
    remaining: int


class Fader:
    """Multiplies PCM by a gain that reaches every new value along a straight 10 ms ramp."""

    def __init__(self, rate: int, gain: float = 1.0) -> None:
        """Starts at `gain` (linear factor) for PCM of `rate` samples a second."""
        self._ramp_samples = max(1, round(rate * RAMP_SECONDS))
        self.state = FaderState(gain, gain, 0)

    def set_gain(self, gain: float) -> None:
        """Starts the ramp to a linear gain from wherever the fader stands."""
        if gain != self.state.target:
            self.state = FaderState(self.state.current, gain, self._ramp_samples)

    def process(self, pcm: Audio) -> Audio:
        """Applies the gain to frames [n, channels]; returns a new array unless the gain is 1."""
        state = self.state
        if state.remaining == 0:
            scaled: Audio = pcm * np.float32(state.current)
            return pcm if state.current == 1.0 else scaled
        moving = min(len(pcm), state.remaining)
        step = (state.target - state.current) / state.remaining
        gains = np.full(len(pcm), state.target)
        gains[:moving] = state.current + step * np.arange(1, moving + 1)
        remaining = state.remaining - moving
        if remaining == 0:
            gains[moving - 1 :] = state.target  # exactly, not up to rounding
        current = float(gains[-1]) if len(pcm) else state.current
        self.state = FaderState(current, state.target, remaining)
        faded: Audio = (pcm * gains[:, None]).astype(np.float32)
        return faded
