"""What a stranger's bytes reach: every reader of files, and what comes over MIDI and OSC.

A target takes bytes and gives a value or one of our refusals, soon and in little memory.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.laws.test_bad_input import READERS, REFUSALS, good

Target = Callable[[bytes], object]


def _of_file(name: str) -> Target:
    reader = READERS[name]
    folder = Path(tempfile.mkdtemp(prefix="lmdm-fuzz-"))

    def target(data: bytes) -> None:
        path = folder / reader.name
        path.write_bytes(data)
        with contextlib.suppress(*REFUSALS):
            reader.read(path)
        assert [each.name for each in folder.iterdir()] == [reader.name]
        assert path.read_bytes() == data, "the reader wrote over its input"

    return target


def midi(data: bytes) -> None:
    """A MIDI cable, cut anywhere."""
    from audio_io.midi_events import MidiParser

    parser = MidiParser()
    for at in range(0, len(data), 3):
        parser.feed(data[at : at + 3], 0.0)


def osc(data: bytes) -> None:
    """A UDP packet."""
    from audio_io.osc import _messages
    from audio_io.osc_messages import message_of

    with contextlib.suppress(*REFUSALS):
        for address, arguments in _messages(data):
            message_of(address, arguments)


def message(data: bytes) -> None:
    """A control message as JSON, as a take's log or a bundle of OSC holds it."""
    import json

    from lmdm.live.messages import from_dict

    with contextlib.suppress(ValueError, RecursionError):
        values = json.loads(data)
        if isinstance(values, dict):
            from_dict(values)


def seeds(name: str) -> list[bytes]:
    """Good input to begin from."""
    if name in READERS:
        return [good(name)]
    if name == "MIDI cable":
        return [bytes([0x90, 60, 100, 0xB0, 7, 99, 0xF8, 0xF0, 1, 2, 0xF7, 0xE0, 0, 64])]
    if name == "OSC packet":
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder("/lmdm/set_guidance")
        builder.add_arg(2.5)
        return [builder.build().dgram]
    return [b'{"kind": "note_on", "pitch": 60, "velocity": 100}']


TARGETS: dict[str, Callable[[], Target]] = {
    **{name: (lambda name=name: _of_file(name)) for name in READERS},
    "MIDI cable": lambda: midi,
    "OSC packet": lambda: osc,
    "control message": lambda: message,
}
