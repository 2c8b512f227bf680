"""What goes wrong: a mistake that the user can mend, and a fault of ours that must end nothing."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

SAME_SECONDS = 5.0  # one fault is told so often at most


class InputError(ValueError):
    """A mistake in what the user gave (a file, a flag, a name, a value).

    The message is one sentence that names what is wrong, where, and what to do about it. The
    command line prints it as one line and exits with status 2.
    """


class GoingOn:
    """A context for one turn of a thread that the music needs: no exception ends its loop.

    going_on = GoingOn("MIDI", say)
    while not closing:
        with going_on:
            turn()

    Threads: one thread uses it.
    """

    def __init__(self, what: str, say: Callable[[str], None]) -> None:
        """what: whose loop it is, in the musician's words; `say` gets a line about each fault."""
        self._what, self._say = what, say
        self._told: dict[str, float] = {}  # faults, and when each was told

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        place = traceback.extract_tb(trace)[-1]
        fault = f"{type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
        now = time.monotonic()
        if now - self._told.get(fault, float("-inf")) > SAME_SECONDS:
            self._told[fault] = now
            self._say(f"{self._what}: a fault of the program, it goes on ({fault})")
        return True
