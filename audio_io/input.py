"""Live input: captured in a C callback, resampled to the model's rate, handed to a ring."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from audio_io.devices import AudioDevice, rtmixer_module, sounddevice_module
from audio_io.priority import raise_thread_priority
from lmdm.errors import InputError

Audio = NDArray[np.float32]

_CAPTURE_SECONDS = 0.5
_TICK_SECONDS = 0.004


@dataclass(frozen=True)
class InputStats:
    """Counters since the start."""

    device: str
    rate: int  # device samples a second
    captured_frames: int  # at the target rate, given to the sink
    dropped_frames: int  # at the target rate, that the sink did not take
    overflows: int  # times the device had nowhere to put its frames: our fault
    device_xruns: int  # times the system itself ran the device late; known after `close`
    latency_ms: float  # from the microphone to the sink


class Input:
    """Captures from a device into `sink(pcm [n, channels]) -> taken`, at the target rate.

    Threads: `start` makes one thread, which alone calls the sink (so an `AudioRing.write` fits).
    The device's callback is C code that writes into a ring and cannot be held up by Python.
    """

    def __init__(
        self,
        sink: Callable[[Audio], int],
        device: AudioDevice,
        target_rate: int = 44100,
        channels: int = 2,
    ) -> None:
        """Opens the device at its own rate; InputError if it refuses.

        A device with fewer channels than wanted gives its last channel to the rest.
        """
        rtmixer, sounddevice = rtmixer_module(), sounddevice_module()
        self._sink = sink
        self._device = device
        self._rate, self._target_rate = device.rate, target_rate
        opened = min(channels, device.input_channels)
        self._mapping = [min(channel, opened - 1) for channel in range(channels)]
        capacity = 1 << (round(self._rate * _CAPTURE_SECONDS) - 1).bit_length()
        self._store: Audio = np.zeros((capacity, opened), np.float32)
        self._ring = rtmixer.RingBuffer(4 * opened, buffer=self._store)
        try:
            self._recorder: Any = rtmixer.Recorder(
                device=device.index, channels=opened, samplerate=self._rate, latency="low"
            )
        except (sounddevice.PortAudioError, ValueError) as problem:
            raise InputError(f"the audio device {device.name!r} does not open: {problem}") from None
        self._resampler = (
            None
            if self._rate == target_rate
            else soxr.ResampleStream(self._rate, target_rate, channels)
        )
        self._captured = self._dropped = self._overflows = self._xruns = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts capturing."""
        self._recorder.start()
        self._action: object = self._recorder.record_ringbuffer(self._ring)
        self._thread = threading.Thread(target=self._run, name="audio capture", daemon=True)
        self._thread.start()

    def stats(self) -> InputStats:
        """Counters so far."""
        delay = self._resampler.delay() / self._target_rate if self._resampler else 0.0
        waiting = float(self._recorder.latency) + _TICK_SECONDS
        return InputStats(
            device=self._device.name,
            rate=self._rate,
            captured_frames=self._captured,
            dropped_frames=self._dropped,
            overflows=self._overflows,
            device_xruns=self._xruns,
            latency_ms=1000.0 * (waiting + delay),
        )

    def close(self) -> None:
        """Stops capturing and closes the device."""
        if self._thread is None:
            return
        self._closing.set()
        self._thread.join()
        self._thread = None
        try:
            self._recorder.stop()
            self._xruns = int(self._recorder.stats.input_overflows)
            self._recorder.close()
        except sounddevice_module().PortAudioError:
            pass  # a device that is gone cannot be closed; there is nothing left to free

    def _run(self) -> None:
        raise_thread_priority()
        while not self._closing.wait(_TICK_SECONDS):
            if self._action not in self._recorder.actions:  # rtmixer drops a ring that ran full
                self._overflows += 1
                self._action = self._recorder.record_ringbuffer(self._ring)
            self._drain()
        self._drain()

    def _drain(self) -> None:
        raw = self._ring.read()
        pcm = np.frombuffer(raw, np.float32).reshape(-1, self._store.shape[1])[:, self._mapping]
        if self._resampler is not None:
            pcm = self._resampler.resample_chunk(np.ascontiguousarray(pcm))
        if len(pcm):
            taken = self._sink(pcm)
            self._captured += taken
            self._dropped += len(pcm) - taken
