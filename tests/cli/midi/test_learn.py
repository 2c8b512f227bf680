"""Learning: whatever is moved, the mapping is the one a musician would have written."""

from __future__ import annotations

import pytest

from audio_io.controllers import Controllers
from audio_io.midi_events import ControlChange, NoteOff, NoteOn, PitchBend, ProgramChange
from lmdm.cli.midi.learn import DOUBT_SECONDS, QUIET_SECONDS, Learning
from lmdm.errors import InputError
from lmdm.live.messages import SetMapping


def learn(target: str, *events, quiet: float = 0.0) -> SetMapping | None:
    learning, controllers = Learning(target), Controllers()
    for index, event in enumerate(events):
        mapping = learning.hear(controllers.feed(event), index * 0.01)
        if mapping is not None:
            return mapping
    return learning.due(len(events) * 0.01 - 0.01 + quiet)


def control(number, value):
    return ControlChange(0.0, 2, number, value)


@pytest.mark.parametrize(
    ("target", "events", "quiet", "source", "encoding", "takeover"),
    [
        ("set_density", [control(1, v) for v in (40, 41, 42)], 0, "cc:3:1", "absolute", "pickup"),
        ("set_density", [control(1, 40)], QUIET_SECONDS, "cc:3:1", "absolute", "pickup"),
        ("set_density",
         [e for v in (9, 10, 11) for e in (control(1, 40), control(33, v))],
         0, "cc14:3:1", "absolute", "pickup"),
        ("set_density",
         [control(99, 2), control(98, 44), *(control(6, v) for v in (1, 2, 3))],
         0, "nrpn:3:300", "absolute", "pickup"),
        ("set_density", [control(20, v) for v in (1, 1, 127)], 0, "cc:3:20", "relative-two",
         "jump"),
        ("set_density", [control(20, v) for v in (65, 65, 63)], 0, "cc:3:20", "relative-offset",
         "jump"),
        ("set_density", [control(20, v) for v in (1, 1, 65)], 0, "cc:3:20", "relative-signed",
         "jump"),
        ("set_density", [control(20, v) for v in (1, 1, 1)], DOUBT_SECONDS, "cc:3:20",
         "relative-two", "jump"),
        ("mute", [control(20, 127), control(20, 0)], 0, "cc:3:20", "toggle", "jump"),
        ("mute", [NoteOff(0.0, 9, 36), NoteOn(0.0, 9, 36, 90)], 0, "note:10:36", "toggle", "jump"),
        ("panic", [control(20, 127)], QUIET_SECONDS, "cc:3:20", "trigger", "jump"),
        ("recall_scene:verse", [ProgramChange(0.0, 0, 4)], 0, "program:1", "trigger", "jump"),
        ("set_density", [PitchBend(0.0, 0, v) for v in (10, 500, 900)], 0, "bend:1", "absolute",
         "jump"),
    ],
)  # fmt: skip
def test_what_is_learnt(target, events, quiet, source, encoding, takeover) -> None:
    mapping = learn(target, *events, quiet=quiet)
    assert mapping == SetMapping(source, target, takeover=takeover, encoding=encoding)


def test_nothing_is_learnt_from_nothing_nor_too_soon() -> None:
    assert learn("set_density", quiet=99.0) is None
    assert learn("set_density", NoteOff(0.0, 0, 60), quiet=99.0) is None
    assert learn("set_density", control(20, 1), control(20, 1), quiet=QUIET_SECONDS / 2) is None


def test_an_unknown_target_is_told() -> None:
    with pytest.raises(InputError, match="no control 'warp'"):
        Learning("warp")
