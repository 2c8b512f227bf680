"""The musician's own sound: captured, placed in the stream's time, heard beside the model's.

live = LiveInput(heard_position)
live.select("usb")
live.ring                     # for the engine: every frame captured, in order
live.offset                   # frame n of the ring was played to stream position n + offset
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from audio_io.input import Audio, Input
from lmdm.errors import InputError
from lmdm.live.player import SAMPLE_RATE
from lmdm.live.ring import AudioRing

RING_SECONDS = 30.0  # the engine may read so late
MOST_PIECES = 64  # of some milliseconds each, kept for the output
LEAST_DB = -120.0


class LiveInput:
    """One live input that can be changed while playing.

    Threads: the capture thread writes; one output thread calls `monitor`; the rest may be called
    from any thread. To open a device takes half a second, in a thread of its own.
    """

    def __init__(self, heard: Callable[[], int], say: Callable[[str], None]) -> None:
        """`heard()` is the stream position that reaches the ear now; `say` tells the musician."""
        self._heard, self._say = heard, say
        self.ring = AudioRing.create(round(RING_SECONDS * SAMPLE_RATE))
        self.gain_db = 0.0
        self._input: Input | None = None
        self._offset: float | None = None
        self._recent: deque[Audio] = deque(maxlen=MOST_PIECES)  # for the output
        self._lock = threading.Lock()
        self._wanted = ""

    @property
    def offset(self) -> int | None:
        """Stream position to which frame 0 of the ring would have been played; None without input.

        Latencies of both directions are taken out: a note played in time with what was heard lies
        in time in the stream.
        """
        return None if self._offset is None else round(self._offset)

    def select(self, device: str) -> None:
        """Listens to a device, by name or part of it, instead of the former; empty is none."""
        self._wanted = device
        threading.Thread(
            target=self._select, args=(device,), name="live input", daemon=True
        ).start()

    def _select(self, device: str) -> None:
        with self._lock:
            former, self._input, self._offset = self._input, None, None
            if former is not None:
                former.close()
            if not device or device != self._wanted:
                return
            try:
                opened = Input(self._take, device)
            except InputError as problem:
                self._say(str(problem))
                return
            opened.set_gain_db(self.gain_db)
            self._input = opened
            opened.start()

    def set_gain_db(self, gain_db: float) -> None:
        """Gain before everything that hears the input."""
        self.gain_db = gain_db
        if (opened := self._input) is not None:
            opened.set_gain_db(gain_db)

    def _take(self, pcm: Audio) -> int:
        """Capture thread: a piece for the engine, the output and the measure of time."""
        taken = self.ring.write(pcm)
        self._recent.append(pcm)
        if (opened := self._input) is not None:
            late = opened.stats().latency_ms * SAMPLE_RATE / 1000.0
            offset = self._heard() - late - self.ring.written_total
            close = self._offset is not None and abs(offset - self._offset) < SAMPLE_RATE / 10
            before = self._offset if close and self._offset is not None else offset
            self._offset = before + 0.02 * (offset - before)
        return taken

    def monitor(self, count: int) -> Audio:
        """Output thread: what has come since the last call, of that the newest `count` frames."""
        pieces = [np.zeros((0, 2), np.float32)]
        with suppress(IndexError):
            while True:
                pieces.append(self._recent.popleft())
        return np.concatenate(pieces)[-count:]

    def fields(self) -> dict[str, Any]:
        """What the snapshot says of the input."""
        opened = self._input
        if opened is None:
            return {"input_gain_db": self.gain_db}
        stats = opened.stats()
        level = (*stats.level_db, LEAST_DB, LEAST_DB)[:2]
        return {
            "input_device": stats.device + (" (lost)" if stats.lost else ""),
            "input_ms": round(stats.latency_ms, 1),
            "input_level_db": (round(level[0], 1), round(level[1], 1)),
            "input_gain_db": self.gain_db,
        }

    def close(self) -> None:
        """Closes the device and frees the ring."""
        self._wanted = ""
        self._select("")
        self.ring.close()
        self.ring.unlink()
