"""Where finished sound waits for its moment: a ring that a device, or a clock, plays from.

Positions count frames since the playout was opened. Frames that wait can still be replaced
(`overwrite`); that is how a mute takes effect at once although 170 ms are already queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audio_io.devices import (
    AudioDevice,
    find_device,
    leave_portaudio,
    rtmixer_module,
    sounddevice_module,
)
from lmdm.errors import InputError

Audio = NDArray[np.float32]

_STATS_PERIOD = 0.25  # seconds between two looks at the callback's counters
_SUSPENDED_SECONDS = 5.0
_STALL_SECONDS = 1.0  # a device that has not taken a frame for so long is gone


class Playout(Protocol):
    """What the feeder needs of a device."""

    name: str
    rate: int  # samples a second
    channels: int
    capacity: int  # frames that may wait
    period: int  # frames that the device takes at once
    latency: float  # seconds from the ring to the ear
    underruns: int  # times the ring was dry when the device wanted sound: our fault
    device_xruns: int  # times the system ran the device late: the ring was full, sound was lost
    blocks: int  # periods played
    written: int  # position of the next frame

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


class _Ring:
    """Storage shared by both kinds: frame number p lies at p modulo the capacity."""

    def __init__(self, rate: int, channels: int, capacity: int) -> None:
        self.rate, self.channels = rate, channels
        self.capacity = 1 << (capacity - 1).bit_length()  # PortAudio's ring needs a power of two
        self.store: Audio = np.zeros((self.capacity, channels), np.float32)
        self.written = 0
        self.underruns = 0
        self.device_xruns = 0
        self.blocks = 0

    def overwrite(self, position: int, pcm: Audio) -> None:
        """Replaces waiting frames from `position` on in place; no index moves."""
        start = position % self.capacity
        head = min(len(pcm), self.capacity - start)
        self.store[start : start + head] = pcm[:head]
        self.store[: len(pcm) - head] = pcm[head:]


class DevicePlayout(_Ring):
    """A PortAudio device that plays from the ring in a C callback (rtmixer).

    Threads: every method belongs to the feeder thread. The callback thread is C code that takes
    frames from the ring and never runs Python, so the interpreter lock cannot delay it. `overwrite`
    writes ahead of the callback's position; if it came too late the ear would get the old frames,
    never garbage.
    """

    def __init__(
        self, device: AudioDevice, capacity: int, channels: int = 2, rate: int | None = None
    ) -> None:
        """Opens the device at `rate` (its default if None); InputError if it refuses."""
        rtmixer, sounddevice = rtmixer_module(), sounddevice_module()
        self.name = device.name
        channels = min(channels, device.output_channels)
        super().__init__(rate or device.rate, channels, capacity)
        self._ring = rtmixer.RingBuffer(4 * channels, buffer=self.store)
        try:
            self._mixer: Any = rtmixer.Mixer(
                device=device.index, channels=channels, samplerate=self.rate, latency="low"
            )
            self._mixer.start()
        except (sounddevice.PortAudioError, ValueError) as problem:
            raise InputError(f"the audio device {device.name!r} does not open: {problem}") from None
        self.latency = float(self._mixer.latency)
        self.period = max(64, int(self._mixer.blocksize or 512))
        self._playing: object | None = None
        self._request: Any = None
        self._requested_at = 0.0
        self._last_played, self._moved_at = 0, time.monotonic()

    @property
    def queued(self) -> int:
        """Frames not yet taken by the device."""
        return int(self._ring.read_available)

    @property
    def alive(self) -> bool:
        """False once the device is gone: stream stopped, or no frame taken for a second."""
        stalled = time.monotonic() - self._moved_at >= _STALL_SECONDS
        if stalled or not self._mixer.active:
            leave_portaudio()
            return False
        return True

    def write(self, pcm: Audio) -> None:
        """Appends frames; the caller keeps `queued` within `capacity`."""
        self.written += int(self._ring.write(np.ascontiguousarray(pcm)))

    def service(self, filled: bool) -> None:
        """Keeps the callback playing and its counters read; call every few milliseconds.

        rtmixer drops a ring that ran dry: that is one underrun, and playing goes on as soon as the
        ring is `filled` again.
        """
        now, played = time.monotonic(), self.written - self.queued
        if played != self._last_played or self._playing is None:
            self._last_played, self._moved_at = played, now
        actions = self._mixer.actions
        if self._playing is not None and self._playing not in actions:
            self._playing = None
            self.underruns += 1
        if self._playing is None and filled:
            self._playing = self._mixer.play_ringbuffer(self._ring)
        if self._request is None:
            if now - self._requested_at > _STATS_PERIOD:
                self._request, self._requested_at = self._mixer.fetch_and_reset_stats(), now
        elif self._request not in actions:
            self._count(self._request.stats)
            self._request = None

    def _count(self, stats: Any) -> None:
        if stats.blocks:
            self.device_xruns += int(stats.output_underflows)
            self.blocks += int(stats.blocks)
            self.period = max(64, int(stats.max_blocksize))

    def close(self) -> None:
        """Stops the device; the last counters are in `device_xruns` and `blocks` afterwards."""
        try:
            self._mixer.stop()
            if self._request is not None and self._request not in self._mixer.actions:
                self._count(self._request.stats)
            self._count(self._mixer.stats)
            self._mixer.close()
        except sounddevice_module().PortAudioError:
            pass  # a device that is gone cannot be closed; there is nothing left to free


class ClockPlayout(_Ring):
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
        super().__init__(rate, channels, capacity)
        self.name = "no device"
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

    def service(self, filled: bool) -> None:
        """Starts the clock when the ring is filled for the first time."""
        if self._started is None and filled:
            self._started = self._clock() - self._played / self.rate

    def close(self) -> None:
        """Nothing to free."""


def open_playout(
    wanted: str | int | None, buffer_ms: float, channels: int = 2, rate: int | None = None
) -> DevicePlayout:
    """Opens the output device that `wanted` means (see `find_device`)."""
    device = find_device(wanted, "output")
    capacity = round((rate or device.rate) * buffer_ms / 1000.0)
    return DevicePlayout(device, capacity, channels, rate)
