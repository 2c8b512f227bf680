"""A second engine, loaded beside the playing one, that takes its place at once."""

from __future__ import annotations

from collections.abc import Callable

from lmdm.live.engine_process import EngineProcess

RETRY_SECONDS = 10.0  # after one that did not load; twice as long after each further one


class Standby:
    """At most one engine in waiting.

    One that dies while it loads (the memory may not hold two models) is tried again ever more
    rarely, so that the attempts do not take the machine from the engine that plays.

    Threads: none; the supervisor's thread owns it. `ready` may be looked at from any.
    """

    def __init__(self, spawn: Callable[[], EngineProcess], wanted: bool) -> None:
        self._spawn, self._wanted = spawn, wanted
        self.engine: EngineProcess | None = None
        self._not_before, self._rest = 0.0, RETRY_SECONDS

    @property
    def ready(self) -> bool:
        """Whether its model is loaded."""
        engine = self.engine
        return engine is not None and engine.ready

    def check(self, now: float, room: bool) -> None:
        """Buries one that died; loads one if the machine has room for it."""
        engine = self.engine
        if engine is not None and not engine.process.is_alive():
            engine.pipe.close()
            self.engine = None
            self._not_before, self._rest = now + self._rest, 2.0 * self._rest
        elif engine is not None and engine.ready:
            self._rest = RETRY_SECONDS
        elif engine is None and self._wanted and room and now >= self._not_before:
            self.engine = self._spawn()

    def take(self) -> EngineProcess | None:
        """Gives it away."""
        engine, self.engine = self.engine, None
        return engine
