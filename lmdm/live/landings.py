"""Where controls landed in the sound, and how long that took."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.latency import LatencyMeter
from lmdm.live.messages import LANES, Landed, Latency, Message, in_words, kind_of

MARKERS = 64  # newest controls whose place is shown


class Landings:
    """Latency by lane and by kind of control, and markers of the newest controls.

    Threads: none; the owner locks.
    """

    def __init__(self) -> None:
        self._meters: dict[str, LatencyMeter] = {}  # by lane, and by kind
        self._landed: deque[Landed] = deque(maxlen=MARKERS)

    def landed(self, message: Message, heard: int, at: int) -> None:
        """A control given while position `heard` was heard acts from position `at` on."""
        kind, samples = kind_of(type(message)), max(0, at - heard)
        for name in {message.lane, kind}:
            self._meter(name).add(samples)
        latency = round(1000.0 * samples / SAMPLE_RATE, 1)
        self._landed.append(Landed(kind, in_words(message), at, latency))

    def quantised(self, message: Message, at: int, clock: MusicalClock) -> None:
        """A change that waited for a boundary acts from `at` on: how far from the beat is that?"""
        off = clock.beat(at) % 1.0
        samples = round(min(off, 1.0 - off) * 60.0 * SAMPLE_RATE / clock.bpm(at))
        self._meter("scene").add(samples)
        latency = round(1000.0 * samples / SAMPLE_RATE, 1)
        self._landed.append(Landed(kind_of(type(message)), in_words(message), at, latency))

    def _meter(self, name: str) -> LatencyMeter:
        return self._meters.setdefault(name, LatencyMeter())

    def lanes(self) -> Mapping[str, Latency]:
        """By lane. That of the scene lane is the distance from the boundary."""
        return {
            lane: self._meters[lane].summary() if lane in self._meters else Latency()
            for lane in ("block", "scene")
        }

    def kinds(self) -> Mapping[str, Latency]:
        """By kind of control."""
        return {k: meter.summary() for k, meter in self._meters.items() if k not in LANES}

    def markers(self) -> tuple[Landed, ...]:
        """The newest, oldest first."""
        return tuple(self._landed)

    def last_at(self, kind: str) -> int:
        """Position at which the newest control of a kind acts; 0 if there was none."""
        return max((each.sample for each in self._landed if each.kind == kind), default=0)
