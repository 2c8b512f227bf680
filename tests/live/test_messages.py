"""Messages and snapshots survive JSON, and nothing unknown or out of range gets in."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live.messages import (
    MESSAGES,
    AllNotesOff,
    Latency,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    ResetContext,
    Resume,
    SetBeat,
    SetBlend,
    SetChord,
    SetDrums,
    SetGain,
    SetGuidance,
    SetLead,
    SetLoudness,
    SetNotesMode,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
    Snapshot,
    StartRecording,
    StopRecording,
    Sustain,
    from_dict,
    to_dict,
)

EXAMPLES = [
    SetPrompts((("felt piano", 0.7), ("ночь 🎹", 0.3))),
    SetBlend(0.25),
    SetBlend(None),
    SetGuidance(2.5),
    SetSteps(4),
    SetTempo(93.5),
    SetBeat(16.0),
    SetDrums(True),
    SetDrums(None),
    SetChord((0, 4, 7)),
    SetChord(None),
    SetLoudness(-20.0),
    SetNotesMode("follow"),
    SetSeed(7),
    ResetContext(),
    Resume(3),
    NoteOn(60, 1),
    NoteOff(127),
    Sustain(True),
    AllNotesOff(),
    SetGain(-6.0),
    Mute(True),
    Panic(),
    SetLead(0.4),
    StartRecording("takes/one"),
    StopRecording(),
    Quit(),
]


def test_there_is_an_example_of_every_message():
    assert {type(each) for each in EXAMPLES} == set(MESSAGES.values())


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_message_survives_json(message):
    assert from_dict(json.loads(json.dumps(to_dict(message)))) == message


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"kind": "explode"}, "explode"),
        ({}, "None"),
        ({"kind": ["note_on"]}, "note_on"),
        ({"kind": "note_on"}, "pitch"),
        ({"kind": "note_on", "pitch": 60, "colour": 1}, "colour"),
        ({"kind": "note_on", "pitch": 128}, "128"),
        ({"kind": "note_on", "pitch": 60, "velocity": 0}, "velocity"),
        ({"kind": "note_on", "pitch": True}, "True"),
        ({"kind": "note_on", "pitch": 60.5}, "60.5"),
        ({"kind": "set_guidance", "scale": math.nan}, "nan"),
        ({"kind": "set_guidance", "scale": "2"}, "'2'"),
        ({"kind": "set_prompts", "prompts": [["a"]]}, "prompts"),
        ({"kind": "set_prompts", "prompts": [["a", -1]]}, "-1"),
        ({"kind": "set_prompts", "prompts": [["a", 1]] * 33}, "32"),
        ({"kind": "set_chord", "pitch_classes": [12]}, "12"),
        ({"kind": "set_notes_mode", "mode": "loud"}, "loud"),
        ({"kind": "mute", "on": 1}, "on"),
    ],
)
def test_what_is_not_a_message_is_refused_by_name(values, named):
    with pytest.raises(InputError, match=named.replace("'", ".")):
        from_dict(values)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_message_or_an_input_error(value):
    for values in (value, {"kind": "set_prompts", "prompts": value}, {"kind": value}):
        with contextlib.suppress(InputError):
            from_dict(values)


def test_a_snapshot_survives_json():
    snapshot = Snapshot(
        status="playing",
        prompts=(("choir", 1.0),),
        latency={"block": Latency(310.0, 402.5, 12)},
        chord=(0, 4, 7),
        held=(60, 64),
        blend=0.5,
    )
    assert Snapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot
    with pytest.raises(InputError, match="colour"):
        Snapshot.from_dict({"colour": 1})
