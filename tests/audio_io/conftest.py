"""The JACK server that the tests of real devices share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.audio_io.jack import JackServer


@pytest.fixture(scope="session")
def jack() -> Iterator[JackServer]:
    """A running server that PortAudio and RtMidi see."""
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed (apt install jackd2)")
    server = JackServer()
    try:
        yield server
    finally:
        server.forget()
        server.stop()
