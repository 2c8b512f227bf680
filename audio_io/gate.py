"""The last word before the device: mute and panic, at an exact frame and along a short ramp.

The gate knows only positions in the playout, so frames that wait for the device can be gated anew
from any one of them on; it stands after the limiter, whose look-ahead would delay it.

    >>> gate = Gate(rate=48000)
    >>> gate.turn(0.0, position=100, seconds=0.010)
    >>> gate.gains(98, 4).tolist(), float(gate.gains(580, 1)[0])
    ([1.0, 1.0, 1.0, 0.9979166666666667], 0.0)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MUTE_SECONDS = 0.010
PANIC_SECONDS = 0.004


class Gate:
    """A gain from 0 to 1 as a function of the position; straight ramps.

    Threads: none; the feeder owns it.
    """

    def __init__(self, rate: int, level: float = 1.0) -> None:
        """Stands at `level` for PCM of `rate` samples a second."""
        self._rate = rate
        self._start, self._length = 0, 1
        self._from = self.target = level

    def turn(self, target: float, position: int, seconds: float) -> None:
        """Moves to `target` from `position` on; what lies before is past."""
        self._from = float(self.gains(position, 1)[0])
        self._start, self._length = position, max(1, round(self._rate * seconds))
        self.target = target

    def gains(self, position: int, count: int) -> NDArray[np.float64]:
        """The gain of each frame from `position` on [count]."""
        share = (position - self._start + np.arange(count)) / self._length
        return self._from + (self.target - self._from) * np.clip(share, 0.0, 1.0)

    def open_at(self, position: int) -> bool:
        """Whether all frames from `position` on pass unchanged."""
        done = position >= self._start + self._length
        return self.target == 1.0 and (done or self._from == 1.0)
