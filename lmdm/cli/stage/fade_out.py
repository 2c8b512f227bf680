"""The end of a piece: the level falls evenly, then the output is muted and the level put back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lmdm.live.messages import Message, Mute, Panic, SetGain

STEP_SECONDS = 0.05
DEPTH_DB = 60.0  # how far it falls


class FadingOut:
    """At most one fade at a time; a hand on the level ends it, and so does silence by any key.

    Threads: each fade is one of its own and calls `send`; the rest may be called from any thread.
    """

    def __init__(self, send: Callable[[Message], None], level: Callable[[], float]) -> None:
        """`level()`: the output's gain in dB now."""
        self._send, self._level = send, level
        self._lock = threading.Lock()
        self._stop = threading.Event()  # of the present fade
        self._stop.set()
        self._first = 0.0  # level at which it began

    def begin(self, seconds: float) -> None:
        """Fades out from the present level; returns at once."""
        with self._lock:
            if self._stop.is_set():
                self._first = self._level()
            self._stop.set()
            self._stop = stop = threading.Event()
        threading.Thread(
            target=self._fade, args=(seconds, stop), name="fade out", daemon=True
        ).start()

    def observe(self, message: Message) -> None:
        """Somebody sends a message; our own come here as well."""
        if threading.current_thread().name == "fade out" or self._stop.is_set():
            return
        if isinstance(message, (SetGain, Mute, Panic)):
            with self._lock:
                self._stop.set()
            if not isinstance(message, SetGain):
                self._send(SetGain(self._first))

    def close(self) -> None:
        """Ends it."""
        self._stop.set()

    def _fade(self, seconds: float, stop: threading.Event) -> None:
        begun, first = time.monotonic(), self._level()
        while (share := (time.monotonic() - begun) / max(seconds, 1e-3)) < 1.0:
            with self._lock:  # a hand that ends us has the last word
                if stop.is_set():
                    return
                self._send(SetGain(max(-90.0, first - DEPTH_DB * share)))
            stop.wait(STEP_SECONDS)
        with self._lock:
            if not stop.is_set():
                stop.set()
                self._send(Mute(True))
                self._send(SetGain(self._first))
