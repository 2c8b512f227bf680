"""A JACK server of our own with a dummy driver: real callbacks and cables without hardware."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from lmdm.errors import InputError

TOOL_SECONDS = 5.0  # in which a tool of JACK answers, or never does
TRIES = 5
_numbers = itertools.count()


class JackServer:
    """`jackd -d dummy` under a name of its own, which this process and its children use.

    A context manager: the server runs within. Threads: none.
    """

    def __init__(self, rate: int = 48000, period: int = 256) -> None:
        """Raises InputError where JACK is not installed."""
        if shutil.which("jackd") is None or shutil.which("jack_connect") is None:
            raise InputError("this needs JACK: install jackd2 (Debian: apt install jackd2)")
        self.name = f"lmdm{os.getpid()}-{next(_numbers)}"  # several may run at once
        self._rate, self._period = rate, period

    def start(self, rate: int | None = None) -> None:
        """Starts the server, at another rate if one is given, and waits until it answers."""
        self._rate = rate or self._rate
        command = ["jackd", "-n", self.name, "-d", "dummy", "-C", "2", "-P", "2"]
        self._process = subprocess.Popen(
            [*command, "-r", str(self._rate), "-p", str(self._period)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.ports("system:playback_1")

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(10.0)

    def __enter__(self) -> Self:
        self._before = os.environ.get("JACK_DEFAULT_SERVER")
        os.environ["JACK_DEFAULT_SERVER"] = self.name
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._before is None:
            os.environ.pop("JACK_DEFAULT_SERVER", None)
        else:
            os.environ["JACK_DEFAULT_SERVER"] = self._before

    def ports(self, part: str, count: int = 1, patience: float = 20.0) -> list[str]:
        """The ports whose names contain `part`, once there are `count` of them."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = sorted(name for name in jack_tool("jack_lsp").split("\n") if part in name)
            if len(found) >= count:
                return found
            time.sleep(0.05)
        raise RuntimeError(f"JACK shows no port {part!r}")

    def plug_output_into_input(self) -> None:
        """What the program that plays to "system" plays is heard by the one that records it."""
        sources, ends = self.ports(":out_", 2), self.ports(":in_", 2)
        for channel in range(2):
            self.connect(f"system:capture_{channel + 1}", ends[channel], on=False)
            self.connect(sources[channel], ends[channel])

    def connect(self, source: str, destination: str, on: bool = True) -> None:
        """Plugs a cable, or pulls it; no complaint if it is so already."""
        tool = "jack_connect" if on else "jack_disconnect"
        jack_tool(tool, source, destination)


def jack_tool(*command: str) -> str:
    """What a tool of JACK says. One that comes beside others may wait for ever: it is asked again.

    Raises:
        RuntimeError: it never answers.
    """
    for _ in range(TRIES):
        with suppress(subprocess.TimeoutExpired):
            return subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS
            ).stdout
    raise RuntimeError(f"{command[0]} got no answer from the JACK server")
