"""Messages and snapshots survive JSON, and nothing unknown or out of range gets in."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live.messages import MESSAGES, Latency, NoteOn, SetGuidance, Snapshot, from_dict, to_dict
from lmdm.live.messages.loose import loose

EXAMPLES = [
    m.SetPrompts((("felt piano", 0.7), ("ночь 🎹", 0.3))),
    m.SetBlend(0.25),
    m.SetBlend(None),
    m.SetGuidance(2.5),
    m.SetGuidanceParallel(0.2),
    m.SetSteps(4),
    m.SetTempo(93.5),
    m.SetBeat(16.0),
    m.SetDrums(True),
    m.SetDrums(None),
    m.SetChord((0, 4, 7)),
    m.SetChord(None),
    m.SetLoudness(-20.0),
    m.SetNotesMode("follow"),
    m.SetSeed(7),
    m.ResetContext(),
    m.Resume(3),
    m.NoteOn(60, 1),
    m.NoteOff(127),
    m.Sustain(True),
    m.AllNotesOff(),
    m.SetGain(-6.0),
    m.Mute(True),
    m.Panic(),
    m.SetLead(0.4),
    m.StartRecording("takes/one"),
    m.StopRecording(),
    m.Quit(),
    m.SetPad((0.25, 1.0)),
    m.SetPad(None),
    m.SetBlendMode("slerp"),
    m.SetGlide(4.0),
    m.SetNegativePrompt("noise"),
    m.SetStyle("groove.wav"),
    m.SetStyleWeight(0.5),
    m.SetStylePrompts((("solo piano", 1.0),)),
    m.PrimeWith("AAAAAA=="),
    m.HearInput("AAAAAA=="),
    m.SetTransform(0.5),
    m.SetSeedMode("drift"),
    m.SetEconomy(2),
    m.SetBassMute(True),
    m.SetBassAndDrumsOnly(True),
    m.SetDensity(0.75),
    m.SetBrightness(None),
    m.SetKey((9, "minor")),
    m.SetKey(None),
    m.SetPitchBend(-2.0),
    m.SetRecall(0.5),
    m.SetSection("A"),
    m.Prime("intro.wav"),
    m.PrimeFromBars(4),
    m.SetFreeze(2.0),
    m.SetMeter(3, 4),
    m.Tap(),
    m.SetClock(120.0, 4.5),
    m.SetClock(120.0, 4.5, -1000),
    m.SetClockSource("midi"),
    m.SetClockOut(True),
    m.Play(),
    m.Pause(),
    m.Stop(),
    m.SetQuantise("bar"),
    m.Quantised("phrase", m.SetPrompts((("choir", 1.0),))),
    m.CancelQuantised(),
    m.UndoBars(2),
    m.UndoChange(),
    m.RedoChange(),
    m.SetControls({"guidance": 2.0, "prompts": [["choir", 1.0]]}, "verse"),
    m.StoreScene("verse"),
    m.RecallScene("verse", "beat"),
    m.RecallScene("verse"),
    m.RecallSceneNumber(3),
    m.DeleteScene("verse"),
    m.SaveScenes("scenes.toml"),
    m.LoadScenes("scenes.toml"),
    m.FadeOut(3.0),
    m.SetLowPass(800.0),
    m.SetHighPass(None),
    m.SetInputGain(6.0),
    m.SetDry(0.5),
    m.SetWet(1.0),
    m.SetJamMode("delay"),
    m.SetFutureVisibility(-2.0),
    m.SetDelay(4.0),
    m.SetFeedback(0.3),
    m.SetGovernor(False),
    m.SelectOutput("Scarlett"),
    m.SelectInput(""),
    m.SetBuffer(64.0),
    m.SelectMidiInput("Keystep"),
    m.SelectMidiOutput(""),
    m.SetChannelRole(10, "drums"),
    m.BeginLearn("set_guidance"),
    m.CancelLearn(),
    m.ForgetMapping("mute"),
    m.SetMapping("cc:1:74", "set_guidance", 1.0, 0.0, "scale", "relative-two"),
    m.SetOsc(9000, "localhost", 9001),
    m.ExportMappings("knobs.toml"),
    m.ImportMappings("knobs.toml"),
    m.LookAround(),
    m.SelectModel("starter"),
    m.ExamineModel("starter"),
    m.SavePreset("evening"),
    m.LoadPreset("evening"),
    m.DeletePreset("evening"),
    m.PlayTake("takes/1"),
    m.StopTake(),
    m.RenderTake("takes/1", 16),
    m.CancelJob("render takes/1"),
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
        ({"kind": "set_pad", "position": [0.5, 1.5]}, "1.5"),
        ({"kind": "set_pad", "position": [0.5]}, "pair"),
        ({"kind": "set_key", "key": [0, "lydian"]}, "lydian"),
        ({"kind": "store_scene", "name": "  "}, "name"),
        ({"kind": "store_scene", "name": "a\nb"}, "name"),
        ({"kind": "set_controls", "settings": [1]}, "settings"),
        ({"kind": "quantised", "boundary": "bar", "change": {"kind": "explode"}}, "explode"),
        ({"kind": "quantised", "boundary": "bar", "change": 3}, "change"),
        ({"kind": "quantised", "boundary": "week", "change": {"kind": "reset_context"}}, "week"),
        ({"kind": "set_channel_role", "channel": 17, "role": "drums"}, "17"),
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


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_message_goes_through_a_quantised_one(message):
    quantised = m.Quantised("bar", message)
    assert from_dict(json.loads(json.dumps(to_dict(quantised)))) == quantised


def test_only_the_same_setting_is_superseded():
    assert SetGuidance(2.0).supersedes(SetGuidance(1.0))
    assert not SetGuidance(2.0).supersedes(m.SetSteps(2))
    assert not NoteOn(60).supersedes(NoteOn(60))
    assert m.SetChannelRole(1, "off").supersedes(m.SetChannelRole(1, "melody"))
    assert not m.SetChannelRole(2, "off").supersedes(m.SetChannelRole(1, "melody"))
    assert not m.SetControls({"guidance": 2.0}).supersedes(m.SetControls({"density": 0.5}))


def test_every_name_of_the_vocabulary_is_exported():
    assert {each.__name__ for each in MESSAGES.values()} <= set(m.__all__)


def test_a_snapshot_survives_json():
    snapshot = Snapshot(
        status="playing",
        prompts=(("choir", 1.0),),
        latency={"block": Latency(310.0, 402.5, 12)},
        control_latency={"note_on": Latency(200.0, 240.0, 3)},
        landed=(m.Landed("note_on", "C4", 44100, 212.5),),
        waiting=(m.Waiting("set_controls", "verse", "bar", 2.5),),
        memorization=m.Memorization("unusual", "unusual updates", 3.5, 0.8),
        underrun_history=(m.Dropout(12.5, "the engine was late"),),
        mappings=(m.ControllerMapping("cc:1:74", "set_guidance"),),
        chord=(0, 4, 7),
        key=(9, "minor"),
        pad=(0.5, 0.25),
        presets=(m.Preset("evening", ("verse", "coda")),),
        takes=(m.TakeSummary("takes/1", "1", 61.5, "2026-11-24T21:00:00", "starter", ("choir",)),),
        models=(m.ModelOffer("starter", "33 MB", "plays with room to spare", True),),
        jobs=(m.Job("render takes/1", "rendering", 0.5),),
        held=(60, 64),
        blend=0.5,
    )
    assert Snapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot
    with pytest.raises(InputError, match="colour"):
        Snapshot.from_dict({"colour": 1})


@pytest.mark.parametrize("kind", ["prime_with", "hear_input", "resume", "set_economy"])
def test_what_only_the_engine_makes_no_hand_sends(kind: str) -> None:
    arguments = [3] if kind in ("resume", "set_economy") else ["AAAAAA=="]
    message = loose(kind, arguments)
    assert m.from_dict(m.to_dict(message)) == message  # a take's log may hold it
    for sent in (message, m.Quantised("bar", message)):
        with pytest.raises(InputError, match=kind):
            m.from_a_hand(sent)
    assert m.from_a_hand(m.Quantised("bar", m.SetGuidance(2.0)))
    with pytest.raises(InputError, match="mute cannot wait"):
        m.from_a_hand(m.Quantised("bar", m.Mute(True)))
