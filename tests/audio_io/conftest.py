"""The JACK server that the tests of real devices share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.audio_io.jack import JackServer, running


@pytest.fixture(scope="session")
def jack() -> Iterator[JackServer]:
    """A running server that PortAudio and RtMidi see."""
    yield from running()
