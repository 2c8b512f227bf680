"""The MIDI desk on ports that the test plays: mappings, learning, floods, profiles."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from audio_io import midi_events as midi
from lmdm.cli.midi import desk as midi_desk
from lmdm.cli.midi.desk import MidiDesk
from lmdm.cli.midi.profile import ProfileStore, write_profile
from lmdm.errors import InputError
from lmdm.live.messages import (
    BeginLearn,
    CancelLearn,
    ExportMappings,
    ForgetMapping,
    ImportMappings,
    NoteOff,
    NoteOn,
    RecallSceneNumber,
    SetBlend,
    SetChannelRole,
    SetChord,
    SetDensity,
    SetMapping,
    Snapshot,
)


class FakePorts:
    """Stands for `MidiPorts`; the test calls `sink` and `lost`."""

    names, sources, sinks, devices = ("virtual",), ("keys",), (), ("virtual",)

    def __init__(self, sink, wanted, lost):
        self.sink, self.lost = sink, lost
        self.outputs, self.lit = {}, []

    def open_output(self, name):
        self.outputs[name] = name

    def send(self, event, output):
        self.lit.append((output, event))

    def close(self):
        pass


class Stage:
    def __init__(self, monkeypatch, folder):
        monkeypatch.setattr(midi_desk, "MidiPorts", FakePorts)
        self.sent, self.snapshot = [], Snapshot(density=0.5)
        self.store = ProfileStore(folder)
        self.said = []
        self.faulty = False
        self.desk = MidiDesk(self.take, lambda: self.snapshot, folder=folder, say=self.said.append)

    def take(self, message):
        if self.faulty:
            raise RuntimeError("no such thing")
        if isinstance(message, RecallSceneNumber):
            raise InputError("there is no scene 9")
        self.sent.append((message, time.perf_counter()))
        if isinstance(message, SetDensity):
            self.snapshot = replace(self.snapshot, density=message.amount)

    def play(self, *events, device="keys"):
        for event in events:
            self.desk._ports.sink(device, replace(event, time=time.perf_counter()))

    def wait(self, true):
        end = time.monotonic() + 10.0
        while not true():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.002)

    def messages(self):
        return [message for message, _ in self.sent]


@pytest.fixture
def stage(monkeypatch, tmp_path):
    stage = Stage(monkeypatch, tmp_path / "midi")
    yield stage
    stage.desk.close()


def control(number, value, channel=0):
    return midi.ControlChange(0.0, channel, number, value)


def note(pitch):
    return midi.NoteOn(0.0, 0, pitch, 90)


def test_notes_and_knobs_arrive(stage):
    stage.play(note(60), control(1, 127), midi.NoteOff(0.0, 0, 60))
    stage.wait(lambda: len(stage.sent) == 3)
    assert stage.messages() == [NoteOn(60, 90), SetBlend(1.0), NoteOff(60)]
    assert stage.desk.fields()["last_controller"] == "note:1:60 = 0"


def test_a_flood_becomes_a_stream_and_ends_on_its_last_value(stage):
    """Four thousand values at once, and a note that does not wait for them."""
    began = time.perf_counter()
    for number in range(4000):
        stage.play(control(1, number % 128))
    stage.play(control(1, 64), note(61))
    stage.wait(lambda: NoteOn(61, 90) in stage.messages())
    last = SetBlend(round(64 / 127, 6))
    stage.wait(lambda: last in stage.messages())
    time.sleep(0.05)
    spent = time.perf_counter() - began
    blends = [message for message in stage.messages() if isinstance(message, SetBlend)]
    assert len(blends) <= 2 + spent / midi_desk.TICK_SECONDS
    assert blends[-1] == last


def test_learning_takes_the_knob_and_nothing_else(stage):
    stage.desk.handle(BeginLearn("set_density"))
    assert stage.desk.fields()["learning"] == "set_density"
    stage.play(*(control(1, value) for value in (10, 20, 30)))
    stage.wait(lambda: stage.desk.fields()["learning"] == "")
    assert stage.sent == []
    sources = {each.source: each.target for each in stage.desk.fields()["mappings"]}
    assert sources["cc:1:1"] == "set_density"
    assert "cc:*:1" not in sources
    stage.play(control(1, 31), control(1, 70))  # passes 0.5, where the control stands
    stage.wait(lambda: stage.sent)
    assert stage.messages() == [SetDensity(round(70 / 127, 6))]
    assert stage.store.load("keys")[0].mappings[-1] == SetMapping("cc:1:1", "set_density")


def test_a_knob_waits_where_another_hand_has_moved_the_control(stage):
    stage.play(control(90, 0))  # the keys are the device in use
    stage.wait(lambda: stage.desk.fields()["last_controller"])
    stage.desk.handle(SetMapping("cc:1:20", "set_density"))
    stage.play(control(20, 50), control(20, 70))
    stage.wait(lambda: stage.sent)
    stage.desk.observe(SetDensity(0.9))
    stage.snapshot = replace(stage.snapshot, density=0.9)
    count = len(stage.sent)
    stage.play(control(20, 72), control(20, 80), note(1))
    stage.wait(lambda: NoteOn(1, 90) in stage.messages())
    assert len(stage.sent) == count + 1


def test_roles_and_profiles_belong_to_the_device(stage):
    stage.play(note(60))
    stage.wait(lambda: stage.sent)
    stage.desk.handle(SetChannelRole(1, "chords"))
    stage.play(note(60), device="other")
    stage.play(note(60))
    stage.wait(lambda: SetChord((0,)) in stage.messages())
    assert stage.messages()[:2] == [NoteOn(60, 90), NoteOn(60, 90)]
    assert stage.store.load("keys")[0].roles[0] == "chords"
    assert stage.store.load("other")[0].roles[0] == "melody"


def test_a_lost_device_lifts_its_keys(stage):
    stage.play(note(60))
    stage.desk._ports.lost("keys")
    stage.wait(lambda: NoteOff(60) in stage.messages())


def test_a_note_that_two_devices_hold_ends_with_the_second(stage):
    lift = midi.NoteOff(0.0, 0, 60)
    stage.play(note(60))
    stage.play(note(60), device="other")
    stage.play(lift, note(62))
    stage.wait(lambda: NoteOn(62, 90) in stage.messages())
    assert NoteOff(60) not in stage.messages()
    stage.play(lift, device="other")
    stage.wait(lambda: NoteOff(60) in stage.messages())


def test_export_import_forget(stage, tmp_path):
    stage.desk.handle(SetMapping("cc:1:20", "set_density"))
    stage.desk.handle(ExportMappings(str(tmp_path / "out.toml")))
    stage.desk.handle(ForgetMapping(""))
    assert stage.desk.fields()["mappings"] == ()
    stage.desk.handle(ImportMappings(str(tmp_path / "out.toml")))
    assert stage.desk.fields()["mappings"][-1].source == "cc:1:20"
    with pytest.raises(InputError, match=r"none\.toml"):
        stage.desk.handle(ImportMappings(str(tmp_path / "none.toml")))
    assert stage.desk.fields()["mappings"][-1].source == "cc:1:20"


def test_a_device_that_wants_it_shows_where_its_controls_stand(stage):
    stage.play(control(90, 0))
    stage.wait(lambda: stage.desk.fields()["last_controller"])
    profile = stage.store.load("keys")[0]
    path = stage.store.folder / "lit.toml"
    write_profile(path, replace(profile, feedback=True, mappings=()))
    stage.desk.handle(ImportMappings(str(path)))
    stage.desk.handle(SetMapping("cc:2:20", "set_density"))
    stage.wait(lambda: ("keys", midi.ControlChange(0.0, 1, 20, 64)) in stage.desk._ports.lit)
    stage.desk.observe(SetDensity(1.0))
    stage.wait(lambda: ("keys", midi.ControlChange(0.0, 1, 20, 127)) in stage.desk._ports.lit)
    time.sleep(0.1)
    assert len(stage.desk._ports.lit) == 2


def test_mistakes_are_told_and_harm_nothing(stage):
    for message in (BeginLearn("warp"), SetMapping("cc:99:1", "mute"), ForgetMapping("warp")):
        with pytest.raises(InputError):
            stage.desk.handle(message)
    stage.desk.handle(BeginLearn("set_density"))
    stage.desk.handle(CancelLearn())
    assert stage.desk.fields()["learning"] == ""
    stage.play(midi.ProgramChange(0.0, 0, 9), note(60))
    stage.wait(lambda: stage.sent)
    assert stage.said == ["there is no scene 9"]
    assert not stage.desk.handle(SetDensity(0.5))


def test_a_fault_of_the_program_does_not_end_midi(stage):
    stage.faulty = True
    stage.play(note(60))
    stage.wait(lambda: stage.said)
    stage.faulty = False
    stage.play(note(64))
    stage.wait(lambda: NoteOn(64, 90) in stage.messages())
    assert "fault of the program" in stage.said[0]


def test_one_clock_is_followed_at_a_time(stage):
    for number in range(48):
        at = number * 0.5 / 24
        stage.desk._ports.sink("keys", midi.Clock(at))
        stage.desk._ports.sink("drums", midi.Clock(at + 0.003))
    assert stage.desk.clock.bpm == pytest.approx(120.0)
