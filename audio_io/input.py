"""Live input: captured in a C callback, resampled to the model's rate, handed to a ring.

capture = Input(ring.write, "usb")
capture.start()
...
capture.stats().latency_ms        # from the microphone to the ring, to be compensated
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_io.device_ring import Word
from audio_io.gain import Fader, amplitude
from audio_io.hosted import HostedDevice
from audio_io.meters import Meter
from audio_io.priority import raise_thread_priority
from audio_io.resampling import Resampler

Audio = NDArray[np.float32]

_CAPTURE_MS = 500.0
_TICK_SECONDS = 0.004


@dataclass(frozen=True)
class InputStats:
    """Counters since the start."""

    device: str
    rate: int  # device samples a second
    captured_frames: int  # at the target rate, given to the sink
    dropped_frames: int  # at the target rate, that the sink did not take
    overflows: int  # times the device had nowhere to put its frames: our fault
    device_xruns: int  # times the system itself ran the device late
    latency_ms: float  # from the microphone to the sink
    level_db: tuple[float, ...]  # RMS of each channel, dB full scale
    lost: bool  # whether the device is gone and looked for


class Input:
    """Captures from a device into `sink(pcm [n, channels]) -> taken`, at the target rate.

    A device that is lost is looked for by its name; until it is back the sink gets silence in its
    time, so that what hears the input keeps its place.

    Threads: `start` makes one thread, which alone calls the sink (so an `AudioRing.write` fits),
    and another while a lost device is looked for. The device's callback is C code in a process of
    its own and cannot be held up by us. `set_gain_db` and `stats` may be called from any thread.
    """

    def __init__(
        self,
        sink: Callable[[Audio], int],
        wanted: str | int | None,
        target_rate: int = 44100,
        channels: int = 2,
    ) -> None:
        """Opens the device that `wanted` means (see `devices.choose_device`) at its own rate.

        A device with fewer channels than wanted gives its last channel to the rest.

        Raises:
            InputError: it is not there, or refuses.
        """
        self._sink = sink
        self._target_rate, self._channels = target_rate, channels
        self._fader = Fader(target_rate)
        self._meter = Meter(target_rate, channels)
        self._captured = self._dropped = self._past_overflows = self._past_xruns = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._returned: HostedDevice | None = None
        self._awaited: HostedDevice | None = None
        self._lost, self._lost_at, self._silence = False, 0.0, 0  # silence: frames given since
        self._connect(self._hosted(wanted))

    def _hosted(self, wanted: str | int | None, wait: bool = False) -> HostedDevice:
        hosted = HostedDevice(
            "input", wanted, channels=self._channels, buffer_ms=_CAPTURE_MS, wait=wait
        )
        if not wait:
            hosted.finish()
        return hosted

    def _connect(self, hosted: HostedDevice) -> None:
        """Captures from a device that is open."""
        self._device, self._ring, self._rate = hosted, hosted.ring, hosted.rate
        self._mapping = [min(c, hosted.ring.channels - 1) for c in range(self._channels)]
        self._resampler = Resampler(self._rate, self._target_rate, self._channels)

    def start(self) -> None:
        """Starts capturing."""
        self._ring.read()  # what came before is stale
        self._thread = threading.Thread(target=self._run, name="audio capture", daemon=True)
        self._thread.start()

    def set_gain_db(self, decibels: float) -> None:
        """Gain before everything that hears the input; reached in 10 ms without a click."""
        self._fader.set_gain(amplitude(decibels))

    def stats(self) -> InputStats:
        """Counters so far."""
        waiting = self._device.latency + _TICK_SECONDS + self._resampler.held_seconds
        return InputStats(
            device=self._device.name,
            rate=self._rate,
            captured_frames=self._captured,
            dropped_frames=self._dropped,
            overflows=self._past_overflows + self._ring[Word.UNDERRUNS],
            device_xruns=self._past_xruns + self._ring[Word.XRUNS],
            latency_ms=1000.0 * waiting,
            level_db=tuple(float(x) for x in 20.0 * np.log10(np.maximum(self._meter.rms, 1e-6))),
            lost=self._lost,
        )

    def close(self) -> None:
        """Stops capturing and closes the device."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._awaited is not None:
            self._awaited.cancel()
        self._device.close()

    # --- capture thread -------------------------------------------------------------------------

    def _run(self) -> None:
        raise_thread_priority()
        while not self._closing.wait(_TICK_SECONDS):
            if self._returned is not None:
                self._device.close()
                self._connect(self._returned)
                self._returned, self._lost = None, False
            if self._lost:
                due = round((time.perf_counter() - self._lost_at) * self._target_rate)
                self._give(np.zeros((due - self._silence, self._channels), np.float32))
                self._silence = due
                continue
            self._drain()
            if not self._device.alive:
                self._lose()
        if not self._lost:
            self._drain()

    def _drain(self) -> None:
        pcm = self._resampler.process(np.ascontiguousarray(self._ring.read()[:, self._mapping]))
        if len(pcm):
            self._give(pcm)

    def _give(self, pcm: Audio) -> None:
        pcm = self._fader.process(pcm)
        self._meter.process(pcm)
        taken = self._sink(pcm)
        self._captured += taken
        self._dropped += len(pcm) - taken

    def _lose(self) -> None:
        self._lost, self._lost_at, self._silence = True, time.perf_counter(), 0
        self._past_overflows += self._ring[Word.UNDERRUNS]
        self._past_xruns += self._ring[Word.XRUNS]
        self._awaited = self._hosted(self._device.name, wait=True)
        threading.Thread(target=self._await, name="audio input return", daemon=True).start()

    def _await(self) -> None:
        awaited = self._awaited
        assert awaited is not None
        if awaited.finish() and not self._closing.is_set():
            self._awaited, self._returned = None, awaited
        else:
            awaited.close()
