"""Where finished sound waits for its moment: a ring that a device, or a clock, plays from.

Positions count frames since the playout was opened. Frames that wait can still be replaced
(`overwrite`); that is how a mute takes effect at once although 170 ms are already queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audio_io.device_ring import Word
from audio_io.hosted import HostedDevice

Audio = NDArray[np.float32]

NO_DEVICE = "no device"
_SUSPENDED_SECONDS = 5.0


class Playout(Protocol):
    """What the feeder needs of a device."""

    name: str
    rate: int  # samples a second
    channels: int
    capacity: int  # frames that may wait
    latency: float  # seconds from the ring to the ear
    written: int  # position of the next frame

    @property
    def period(self) -> int:
        """Frames that the device takes at once."""

    @property
    def underruns(self) -> int:
        """Times the ring was dry when the device wanted sound: our fault."""

    @property
    def device_xruns(self) -> int:
        """Times the system ran the device late: the ring was full, sound was lost."""

    @property
    def blocks(self) -> int:
        """Periods played."""

    @property
    def queued(self) -> int:
        """Frames written and not yet taken by the device."""

    @property
    def alive(self) -> bool:
        """False once the device is gone."""

    def write(self, pcm: Audio) -> None:
        """Appends frames [n, channels]."""

    def overwrite(self, position: int, pcm: Audio) -> None:
        """Replaces waiting frames from `position` on."""

    def service(self, filled: bool) -> None:
        """Housekeeping, every few milliseconds; `filled` once there is enough to play."""

    def close(self) -> None:
        """Stops the device."""


class DevicePlayout:
    """A sound device that plays from a shared ring in a C callback, in a process of its own.

    Threads: every method belongs to the feeder thread. `overwrite` writes ahead of the callback's
    position; if it came too late the ear would get the old frames, never garbage.
    """

    def __init__(self, hosted: HostedDevice) -> None:
        """Takes a device that is open over."""
        self._hosted, self._ring = hosted, hosted.ring
        self.name, self.rate = hosted.name, hosted.rate
        self.channels, self.capacity = self._ring.channels, self._ring.frames
        self.latency = hosted.latency
        self.written = 0

    @property
    def queued(self) -> int:
        """Frames not yet taken by the device."""
        return self._ring.queued

    @property
    def alive(self) -> bool:
        """False once the device is gone: stream stopped, or no frame taken for a second."""
        return self._hosted.alive

    @property
    def period(self) -> int:
        """Frames that the device takes at once."""
        return self._ring[Word.PERIOD]

    @property
    def underruns(self) -> int:
        """Times the ring was dry when the device wanted sound: our fault."""
        return self._ring[Word.UNDERRUNS]

    @property
    def device_xruns(self) -> int:
        """Times the system ran the device late."""
        return self._ring[Word.XRUNS]

    @property
    def blocks(self) -> int:
        """Periods played."""
        return self._ring[Word.BLOCKS]

    def write(self, pcm: Audio) -> None:
        """Appends frames; the caller keeps `queued` within `capacity`."""
        self.written += self._ring.write(pcm)

    def overwrite(self, position: int, pcm: Audio) -> None:
        """Replaces waiting frames from `position` on in place; no index moves."""
        self._ring.put(position, pcm)

    def service(self, filled: bool) -> None:
        """Tells the device whether there is enough to begin, or to go on after an underrun."""
        self._ring[Word.FILLED] = filled

    def close(self) -> None:
        """Stops the device; the last counters stay readable."""
        self._hosted.close()


class ClockPlayout:
    """Plays to nowhere in real time: for machines without a device, and when a device is lost.

    Nobody hears a gap, so a late feeder is counted but catches up: the take stays whole and true to
    time. Only after `_SUSPENDED_SECONDS` (the machine slept) time starts anew.

    Threads: every method belongs to the feeder thread.
    """

    def __init__(
        self,
        rate: int,
        capacity: int,
        channels: int = 2,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Takes `rate` frames a second of `clock` from the first filled `service` on."""
        self.rate, self.channels = rate, channels
        self.capacity = 1 << (capacity - 1).bit_length()
        self._store: Audio = np.zeros((self.capacity, channels), np.float32)
        self.written = self.underruns = self.device_xruns = self.blocks = 0
        self.name = NO_DEVICE
        self.latency = 0.0
        self.period = 256
        self.alive = True
        self._clock = clock
        self._started: float | None = None
        self._played = 0
        self._dry = False

    @property
    def queued(self) -> int:
        """Frames whose time has not come."""
        if self._started is not None:
            due = int((self._clock() - self._started) * self.rate)
            late = due - self.written
            self.underruns += late > 0 and not self._dry
            self._dry = late > 0
            if late > _SUSPENDED_SECONDS * self.rate:
                self._started += late / self.rate
            self._played = min(due, self.written)
            self.blocks = self._played // self.period
        return self.written - self._played

    def write(self, pcm: Audio) -> None:
        """Appends frames."""
        self.overwrite(self.written, pcm)
        self.written += len(pcm)

    def overwrite(self, position: int, pcm: Audio) -> None:
        """Replaces waiting frames from `position` on."""
        start = position % self.capacity
        head = min(len(pcm), self.capacity - start)
        self._store[start : start + head] = pcm[:head]
        self._store[: len(pcm) - head] = pcm[head:]

    def service(self, filled: bool) -> None:
        """Starts the clock when the ring is filled for the first time."""
        if self._started is None and filled:
            self._started = self._clock() - self._played / self.rate

    def close(self) -> None:
        """Nothing to free."""


def open_playout(
    wanted: str | int | None, buffer_ms: float, channels: int = 2, rate: int | None = None
) -> DevicePlayout:
    """Opens the output device that `wanted` means (see `devices.choose_device`).

    buffer_ms: sound that may wait for it, at least. rate: None for the device's own.
    Raises: InputError, one sentence.
    """
    hosted = HostedDevice("output", wanted, channels=channels, buffer_ms=buffer_ms, rate=rate)
    hosted.finish()
    return DevicePlayout(hosted)
