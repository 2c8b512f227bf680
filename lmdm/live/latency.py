"""From a control to the first sound it changed, measured in samples of the stream."""

from __future__ import annotations

from collections import deque

from lmdm.live.messages import Latency

SAMPLE_RATE = 44100


class LatencyMeter:
    """The newest 1000 latencies of one lane.

    Threads: none; the owner locks.
    """

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=1000)

    def add(self, samples: int) -> None:
        """One control: from the position heard when it came to the first position it changed."""
        self._samples.append(max(0, samples))

    def summary(self, device_ms: float = 0.0) -> Latency:
        """Median and 95th percentile in milliseconds, the device's own latency added."""
        ordered = sorted(self._samples)
        if not ordered:
            return Latency()

        def percentile(share: float) -> float:
            place = min(len(ordered) - 1, int(share * len(ordered)))
            return round(1000.0 * ordered[place] / SAMPLE_RATE + device_ms, 1)

        return Latency(percentile(0.5), percentile(0.95), len(ordered))
