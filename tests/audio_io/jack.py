"""A JACK server of the tests' own: real callbacks without hardware."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from lmdm.cli.jack_server import jack_tool

RATE = 48000
REGISTRY = Path("/dev/shm/jack-shm-registry")
_numbers = itertools.count()
SERVERS_AT, SERVER_SIZE, MOST_SERVERS = 24, 264, 8


def free_dead_servers() -> None:
    """Empties the places of killed servers in JACK's registry of eight, which JACK itself does not.

    jack_shm_header_t (common/shm.h of JACK 2): 24 bytes, then eight times a pid and a name.
    """
    if not REGISTRY.exists():
        return
    with REGISTRY.open("r+b") as registry:
        header = registry.read(SERVERS_AT + SERVER_SIZE * MOST_SERVERS)
        for at in range(SERVERS_AT, len(header), SERVER_SIZE):
            (pid,) = struct.unpack_from("<i", header, at)
            if pid > 0 and not Path(f"/proc/{pid}").exists():
                registry.seek(at)
                registry.write(bytes(SERVER_SIZE))


class JackServer:
    """`jackd -d dummy` at 48 kHz with 256-frame periods, under a name of its own."""

    def __init__(self) -> None:
        self.name = f"lmdmtest{os.getpid()}-{next(_numbers)}"  # several may run at once
        self._before = os.environ.get("JACK_DEFAULT_SERVER")
        os.environ["JACK_DEFAULT_SERVER"] = self.name
        self.start()

    def start(self, rate: int = RATE) -> None:
        """Starts the server and waits until it answers."""
        free_dead_servers()
        command = ["jackd", "-n", self.name, "-d", "dummy", "-r", str(rate), "-p", "256"]
        self._process = subprocess.Popen(
            [*command, "-C", "2", "-P", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_for("system:playback_1")

    def stop(self) -> None:
        """Stops the server."""
        self._process.terminate()
        self._process.wait(timeout=10)

    def kill(self) -> None:
        """Ends the server as a pulled plug would."""
        self._process.kill()
        self._process.wait(timeout=10)
        free_dead_servers()

    def forget(self) -> None:
        """New clients of this process look for the user's own server again."""
        if self._before is None:
            os.environ.pop("JACK_DEFAULT_SERVER", None)
        else:
            os.environ["JACK_DEFAULT_SERVER"] = self._before

    def ports(self) -> list[str]:
        """Names of all ports."""
        return jack_tool("jack_lsp").split("\n")

    def wait_for(self, part: str, count: int = 1) -> list[str]:
        """The ports whose names contain `part`, once there are `count` of them."""
        for _ in range(100):
            names = [name for name in self.ports() if part in name]
            if len(names) >= count:
                return sorted(names)
            time.sleep(0.05)
        raise AssertionError(f"no JACK port {part!r} came up")

    def connect(self, source: str, destination: str) -> None:
        """Connects two ports; no complaint if they are connected."""
        jack_tool("jack_connect", source, destination)

    def disconnect(self, source: str, destination: str) -> None:
        """Disconnects two ports; no complaint if they are not connected."""
        jack_tool("jack_disconnect", source, destination)


SENDER = """
import sys
import rtmidi

port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=sys.argv[1])
port.open_virtual_port("out")
for line in sys.stdin:
    port.send_message(list(bytes.fromhex(line)))
"""


class Keys:
    """Another program's MIDI output, `keys:out`, in a process of its own.

    libjack aborts a process whose server dies; that process must not be the tests' own.
    """

    def __init__(self, server: JackServer, name: str = "keys") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SENDER, name], stdin=subprocess.PIPE, text=True
        )
        server.wait_for(f"{name}:out")

    def send_message(self, message: list[int]) -> None:
        """Sends the bytes of a message."""
        assert self._process.stdin is not None
        self._process.stdin.write(bytes(message).hex() + "\n")
        self._process.stdin.flush()

    def delete(self) -> None:
        """Ends the program, as a pulled cable ends a port.

        It leaves the server by itself: of a client that was killed JACK keeps a wrong count, and
        what is connected to the next one of its name may wait for ever.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
