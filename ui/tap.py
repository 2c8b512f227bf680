"""Tempo from taps. Pure; no Qt.

>>> tap = TapTempo()
>>> [tap.tap(t) for t in (0.0, 0.5, 1.0)]
[None, 120.0, 120.0]
"""

from __future__ import annotations

from statistics import median

PAUSE_SECONDS = 2.0  # a longer gap begins a new count
TAPS = 8  # the newest taps that count
LOWEST, HIGHEST = 20.0, 400.0  # beats a minute


class TapTempo:
    """Beats a minute from the median of the latest gaps, which one hasty tap does not upset."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def tap(self, now: float) -> float | None:
        """A tap at `now` seconds: the tempo, rounded to 0.1, or None when it is the first."""
        if self._times and now - self._times[-1] > PAUSE_SECONDS:
            self._times.clear()
        self._times = [*self._times[-(TAPS - 1) :], now]
        gaps = [b - a for a, b in zip(self._times, self._times[1:], strict=False) if b > a]
        if not gaps:
            return None
        return round(min(max(60.0 / median(gaps), LOWEST), HIGHEST), 1)
