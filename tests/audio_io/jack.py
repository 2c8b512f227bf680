"""A JACK server of the tests' own: real callbacks without hardware."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmdm.cli import jack_server

RATE = 48000
REGISTRY = Path("/dev/shm/jack-shm-registry")
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


class JackServer(jack_server.JackServer):
    """The program's own, which can be killed besides."""

    def start(self, rate: int | None = None) -> None:
        """Starts it, as often as it was killed."""
        free_dead_servers()
        super().start(rate)

    def kill(self) -> None:
        """Ends the server as a pulled plug would."""
        self._process.kill()
        self._process.wait(timeout=10)
        free_dead_servers()


def running() -> Iterator[JackServer]:
    """A fixture's server, that PortAudio and RtMidi see."""
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed (apt install jackd2)")
    with JackServer() as server:
        yield server


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
        server.ports(f"{name}:out")

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
