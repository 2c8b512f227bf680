"""Tempo from taps.

>>> tempo = TapTempo()
>>> [tempo.tap(at) for at in (0.0, 0.5, 1.0)]
[None, 120.0, 120.0]
"""

from __future__ import annotations

import itertools
from collections import deque
from statistics import median

LOWEST_BPM, HIGHEST_BPM = 20.0, 400.0
REMEMBERED = 8


class TapTempo:
    """The median interval of the last taps; a pause of more than a beat at 20 bpm begins anew.

    Threads: none; the owner locks.
    """

    def __init__(self) -> None:
        self._taps: deque[float] = deque(maxlen=REMEMBERED)

    def tap(self, now: float) -> float | None:
        """Beats a minute after a tap at `now` (seconds); None until there are two."""
        if self._taps and now - self._taps[-1] > 60.0 / LOWEST_BPM:
            self._taps.clear()
        self._taps.append(now)
        gaps = [after - before for before, after in itertools.pairwise(self._taps)]
        if not gaps or median(gaps) <= 0.0:
            return None
        return min(HIGHEST_BPM, max(LOWEST_BPM, 60.0 / median(gaps)))
