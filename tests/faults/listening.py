"""What a listener at the output's cable hears of a fault, and what the musician is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np

from lmdm.cli.stage.performance import Performance

RATE = 44100
SILENT = 1e-4  # -80 dB full scale
PATIENCE = 60.0
CLICK = 1.5  # times the largest step of the music itself; a click of this music is some 3 to 20
HOLE_MS = 25.0  # a fade may take 20 ms; of a lost device what a take keeps is meant


def until(true: Callable[[], object], what: str, patience: float = PATIENCE) -> float:
    """Waits until something is true; returns the seconds that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < patience, f"it did not happen: {what}"
        time.sleep(0.005)
    return time.monotonic() - begun


class Listener:
    """Keeps what the output gives out, and every line that the musician was shown.

    A context manager; what it hears is limited, gated and ends at a device or at none, so a lost
    device leaves no hole in it.
    """

    def __init__(self, performance: Performance) -> None:
        self.lines: list[str] = []
        self._performance = performance
        self._pieces: list[np.ndarray] = []
        self._on = True
        performance.output.add_tap(self._hear)
        performance.add_listener(self._keep)
        self._stream: list[np.ndarray] = []
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Listener:
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._on = False
        self._ended.set()
        self._reader.join()

    def _hear(self, pcm: np.ndarray) -> None:
        if self._on:
            self._pieces.append(pcm.copy())

    def _keep(self, pcm: np.ndarray, _position: int) -> None:
        if self._on:
            self._stream.append(pcm.copy())

    def stream(self) -> np.ndarray:
        """What a take keeps [n], whatever became of the device."""
        return np.concatenate(list(self._stream))[:, 0]

    def _read(self) -> None:
        while not self._ended.wait(0.01):
            text = self._performance.snapshot().text
            if text not in ("playing", *self.lines[-1:]):
                self.lines.append(text)

    @property
    def heard(self) -> int:
        """Samples so far."""
        return sum(map(len, list(self._pieces)))

    def sound(self) -> np.ndarray:
        """What was heard [n]."""
        return np.concatenate(list(self._pieces))[:, 0]


def click(sound: np.ndarray, fault: int, over: int) -> float:
    """Largest step between samples during the fault / the largest of the music around it."""
    steps = np.abs(np.diff(sound))
    around = np.concatenate([steps[:fault], steps[over:]])
    return float(steps[fault:over].max() / around.max())


def hole_ms(sound: np.ndarray, rate: int) -> float:
    """The longest silence, ms."""
    loud = np.flatnonzero(np.abs(sound) > SILENT)
    edges = np.concatenate([[-1], loud, [len(sound)]])
    return float(np.diff(edges).max() - 1) * 1000.0 / rate
