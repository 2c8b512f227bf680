"""One spawned engine process, and our end of its pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from typing import Any

from lmdm.live import engine, wire
from lmdm.live.engine import EngineSettings


class EngineProcess:
    """Starts an engine.

    Threads: none; the supervisor's thread owns it.
    """

    def __init__(self, settings: EngineSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=engine.run, args=(theirs, settings.to_dict()), name="lmdm-engine", daemon=True
        )
        self.process.start()
        theirs.close()
        self.ready = False
        self.last_beat = time.monotonic()
        self.facts: dict[str, Any] = {}
        self.last_words = ""  # why it fails, if it could say so

    def end(self, patience: float) -> None:
        """Asks it to end, and kills it after so many seconds. What it said can still be read."""
        with contextlib.suppress(OSError):
            wire.send(self.pipe, {"request": "quit"})
        self.process.join(patience)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(1.0)

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.process.exitcode
        killed = code is not None and code < 0
        return f"signal {-code}" if killed and code is not None else f"exit status {code}"
