"""Our end of a device that lives in a process of its own (see `device_process`)."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

from audio_io.device_ring import DeviceRing, State, Word
from audio_io.devices import AudioDevice, Kind
from lmdm.errors import InputError

OPEN_SECONDS = 20.0  # a driver that takes longer is stuck
CLOSE_SECONDS = 1.0


class HostedDevice:
    """Starts the process, waits for its answer, and ends it.

    Threads: one owner; `cancel` may come from another thread while it waits for the device.
    """

    def __init__(
        self,
        kind: Kind,
        wanted: str | int | None,
        *,
        channels: int = 2,
        buffer_ms: float = 170.0,
        rate: int | None = None,
        wait: bool = False,
    ) -> None:
        """Starts to open; `finish` says how it went. `wait`: looks until the device is there."""
        from audio_io.device_process import Request, serve

        self.ring = DeviceRing()
        request = Request(self.ring.name, kind, wanted, channels, buffer_ms, rate, wait)
        self._wait = wait
        self._process, self._pipe = spawn(serve, request)
        self.name, self.rate, self.latency = "", 0, 0.0

    def finish(self) -> bool:
        """Waits until the device is open; False if it was cancelled meanwhile.

        Raises:
            InputError: it is not there, or refuses.
        """
        said = _answer(self._pipe, None if self._wait else OPEN_SECONDS)
        if said is None or "problem" in said:
            self.close()
            if self._wait:
                return False
            raise InputError((said or {}).get("problem", "the sound driver does not answer"))
        self.name, self.rate = said["device"], said["rate"]
        self.latency = said["latency"]
        self.ring.shape(said["frames"], said["channels"])
        return True

    def cancel(self) -> None:
        """Ends the waiting of `finish` in another thread."""
        self.ring[Word.STOP] = 1
        self._process.join(CLOSE_SECONDS)
        self._process.kill()

    @property
    def alive(self) -> bool:
        """False once the device is gone."""
        return self.ring[Word.STATE] == State.OPEN and self._process.is_alive()

    def stop(self) -> None:
        """Closes the device, so that its counters are final; the ring stays readable."""
        self.ring[Word.STOP] = 1
        self._process.join(CLOSE_SECONDS)
        if self._process.is_alive():  # a driver that hangs: the system frees what it held
            self._process.kill()
            self._process.join(CLOSE_SECONDS)

    def close(self) -> None:
        """Closes the device and frees the ring. Idempotent."""
        self.stop()
        self._pipe.close()
        self.ring.close()


def list_devices() -> list[AudioDevice]:
    """The devices there are now, looked for in a process of its own. Raises InputError."""
    from audio_io.device_process import list_into

    process, pipe = spawn(list_into)
    said = _answer(pipe, OPEN_SECONDS)
    process.kill()
    process.join()
    pipe.close()
    if said is None or "problem" in said:
        raise InputError((said or {}).get("problem", "the sound driver does not answer"))
    return [AudioDevice(**each) for each in said["devices"]]


def spawn(target: Any, *arguments: Any) -> tuple[Any, Connection]:
    """Starts `target(pipe, *arguments)` in a process; returns it and our end of the pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _answer(pipe: Connection, seconds: float | None) -> dict[str, Any] | None:
    """What the process says; None if it dies or takes too long. `seconds` None: for ever."""
    deadline = None if seconds is None else time.monotonic() + seconds
    with contextlib.suppress(EOFError, OSError):
        while deadline is None or time.monotonic() < deadline:
            if pipe.poll(0.1):
                return dict(json.loads(pipe.recv_bytes()))
    return None
