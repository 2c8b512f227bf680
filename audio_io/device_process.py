"""The process that owns a sound device: PortAudio lives and dies here, never in the main process.

PortAudio sees the devices that were there when it started, and a sound server that dies takes it
along (JACK: `Pa_Terminate` never returns, and no stream can be opened again). So every device that
is opened gets a fresh process, which ends with it. It plays from, or records into, a `DeviceRing`
in a C callback; a loop in Python keeps the counters and looks whether the device still lives. When
the main process is gone, it goes too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

from audio_io.device_ring import MOST_FRAMES, DeviceRing, State, Word
from audio_io.devices import (
    Kind,
    choose_device,
    name_jack_client,
    portaudio_devices,
    restart_portaudio,
    rtmixer_module,
    sounddevice_module,
)
from lmdm.errors import InputError

TICK_SECONDS = 0.004
STATS_SECONDS = 0.25  # between two looks at the callback's counters
STALL_SECONDS = 1.0  # a device that has not moved a frame for so long is gone
RETRY_SECONDS = 0.25  # between two looks for a device that is awaited


@dataclass(frozen=True)
class Request:
    """What to open.

    wanted: as for `choose_device`. wait: look for it until it is there. rate: None for its own.
    """

    ring: str
    kind: Kind
    wanted: str | int | None
    channels: int
    buffer_ms: float
    rate: int | None = None
    wait: bool = False


def list_into(pipe: Connection) -> None:
    """Process: sends the devices there are, or why there are none, as JSON."""
    settle()
    name_jack_client("list")
    try:
        said: dict[str, Any] = {"devices": [asdict(each) for each in portaudio_devices()]}
    except InputError as problem:
        said = {"problem": str(problem)}
    pipe.send_bytes(json.dumps(said).encode())
    _leave()


def serve(pipe: Connection, request: Request) -> None:
    """Process: opens a device, says so as JSON, and serves it until told to stop or it is gone."""
    settle()
    name_jack_client("out" if request.kind == "output" else "in")
    ring = DeviceRing(request.ring)
    try:
        device = _open(ring, request, pipe)
    except InputError as problem:
        ring[Word.STATE] = State.LOST
        pipe.send_bytes(json.dumps({"problem": str(problem)}).encode())
        _leave()
    ring[Word.STATE] = State.OPEN
    pipe.send_bytes(json.dumps(device.said).encode())
    device.run(pipe)
    _leave()


def settle() -> None:
    """Lets the main process decide when we end, and keeps drivers from printing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)


def _leave() -> None:
    """Ends at once: to stop PortAudio after a device died may take for ever."""
    sys.stdout.flush()
    os._exit(0)


def _orphaned(pipe: Connection) -> bool:
    try:
        return pipe.poll() and not pipe.recv_bytes()
    except (EOFError, OSError):
        return True


def _open(ring: DeviceRing, request: Request, pipe: Connection) -> _Device:
    while True:
        try:
            return _Device(ring, request)
        except InputError:
            if not request.wait:
                raise
        until = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < until:
            if ring[Word.STOP] or _orphaned(pipe):
                _leave()
            time.sleep(TICK_SECONDS)
        restart_portaudio()


class _Device:
    """One open stream between a device and a ring.

    Threads: one owner. The callback's thread is C code and never runs Python.
    """

    def __init__(self, ring: DeviceRing, request: Request) -> None:
        """Opens it; InputError if it is not there or refuses."""
        self._shared, self._playing_kind = ring, request.kind == "output"
        rtmixer, sounddevice = rtmixer_module(), sounddevice_module()
        device = choose_device(request.wanted, request.kind, portaudio_devices())
        channels = min(request.channels, device.channels(request.kind))
        rate = request.rate or device.rate
        frames = min(MOST_FRAMES, max(1024, round(rate * request.buffer_ms / 1000.0)))
        frames = 1 << (frames - 1).bit_length()
        ring.shape(frames, channels)
        self._ring = ring.as_portaudio(rtmixer.RingBuffer)
        try:
            stream = rtmixer.Mixer if self._playing_kind else rtmixer.Recorder
            self._stream: Any = stream(
                device=device.index, channels=channels, samplerate=rate, latency="low"
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as problem:
            raise InputError(f"the audio device {device.name!r} does not open: {problem}") from None
        ring[Word.PERIOD] = max(64, int(self._stream.blocksize or 512))
        self.said = {
            "device": device.name,
            "rate": rate,
            "channels": channels,
            "frames": frames,
            "latency": float(self._stream.latency),
        }
        self._action: object | None = None
        self._request: Any = None
        self._requested_at = 0.0

    def run(self, pipe: Connection) -> None:
        """Serves until we are told to stop, or the device is gone."""
        index, moved_at = -1, time.monotonic()
        while not self._shared[Word.STOP] and not _orphaned(pipe):
            now = time.monotonic()
            moved = self._ring._ptr.readIndex if self._playing_kind else self._ring._ptr.writeIndex
            if moved != index or self._action is None:
                index, moved_at = moved, now
            if not self._stream.active or now - moved_at >= STALL_SECONDS:
                self._shared[Word.STATE] = State.LOST
                return
            self._turn(now)
            self._shared[Word.HEARTBEAT] += 1
            time.sleep(TICK_SECONDS)
        self._close()

    def _turn(self, now: float) -> None:
        """Keeps the callback on the ring. rtmixer drops one that ran dry, or full: an underrun."""
        actions = self._stream.actions
        if self._action is not None and self._action not in actions:
            self._action = None
            self._shared[Word.UNDERRUNS] += 1
        if self._action is None and (self._shared[Word.FILLED] or not self._playing_kind):
            play = self._stream.play_ringbuffer if self._playing_kind else (
                self._stream.record_ringbuffer
            )  # fmt: skip
            self._action = play(self._ring)
        if self._request is None:
            if now - self._requested_at > STATS_SECONDS:
                self._request, self._requested_at = self._stream.fetch_and_reset_stats(), now
        elif self._request not in actions:
            self._count(self._request.stats)
            self._request = None

    def _count(self, stats: Any) -> None:
        if stats.blocks:
            late = stats.output_underflows if self._playing_kind else stats.input_overflows
            self._shared[Word.XRUNS] += int(late)
            self._shared[Word.BLOCKS] += int(stats.blocks)
            self._shared[Word.PERIOD] = max(64, int(stats.max_blocksize))

    def _close(self) -> None:
        try:
            self._stream.stop()
            self._count(self._stream.stats)
            self._stream.close()
        except sounddevice_module().PortAudioError:
            pass  # a device that is gone cannot be closed
        self._shared[Word.STATE] = State.CLOSED
