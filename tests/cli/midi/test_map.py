"""What MIDI means: roles, mappings of every encoding, soft takeover."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io import midi_events as midi
from lmdm.cli.midi.map import GATE_SECONDS, MidiMap
from lmdm.cli.midi.profile import DEFAULT_MAPPINGS, Profile
from lmdm.cli.midi.soft_takeover import NEAR, SoftTakeover
from lmdm.live.messages import (
    AllNotesOff,
    Message,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    RecallScene,
    RecallSceneNumber,
    SetBlend,
    SetBrightness,
    SetChannelRole,
    SetChord,
    SetDensity,
    SetDrums,
    SetGain,
    SetGuidance,
    SetMapping,
    SetNotesMode,
    SetPitchBend,
    Snapshot,
    Sustain,
)
from lmdm.live.targets import fields_set


class Desk:
    """A map whose messages take effect in a snapshot, as in a performance."""

    def __init__(self, *mappings: SetMapping, roles: dict[int, str] | None = None) -> None:
        profile = Profile("knobs", mappings or DEFAULT_MAPPINGS)
        for channel, role in (roles or {}).items():
            profile = profile.with_role(SetChannelRole(channel, role))
        self.map = MidiMap(profile)
        self.state = {each.name: each.default for each in fields(Snapshot)}

    def play(self, *events: midi.MidiEvent) -> list[Message]:
        asked = []
        for event in events:
            for message in self.map.messages(event, self.map.turns(event), self.state.get):
                self.state |= fields_set(message)
                asked.append(message)
        return asked


def control(number: int, value: int, channel: int = 0) -> midi.ControlChange:
    return midi.ControlChange(0.0, channel, number, value)


def note(pitch: int, velocity: int = 99, channel: int = 0, time: float = 0.0) -> midi.NoteOn:
    return midi.NoteOn(time, channel, pitch, velocity)


def lift(pitch: int, channel: int = 0) -> midi.NoteOff:
    return midi.NoteOff(0.0, channel, pitch)


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        (note(60, 99), [NoteOn(60, 99)]),
        (note(36, channel=9), [SetDrums(True)]),
        (control(1, 0), [SetBlend(0.0)]),
        (control(1, 127, channel=15), [SetBlend(1.0)]),
        (control(74, 0), [SetGuidance(1.0)]),
        (control(74, 127), [SetGuidance(6.0)]),
        (control(7, 0), [SetGain(-90.0)]),
        (control(7, 127), [SetGain(0.0)]),
        (control(64, 64), [Sustain(True)]),
        (control(64, 63), [Sustain(False)]),
        (control(120, 0), [Panic()]),
        (control(123, 0), [AllNotesOff()]),
        (control(20, 5), []),
        (midi.PitchBend(0.0, 0, -8192), [SetPitchBend(-2.0)]),
        (midi.PitchBend(0.0, 0, 0), [SetPitchBend(0.0)]),
        (midi.ProgramChange(0.0, 3, 7), [RecallSceneNumber(7)]),
        (midi.ProgramChange(0.0, 3, 0), [RecallSceneNumber(0)]),
        (midi.Clock(0.0), []),
        (lift(60), []),
    ],
)
def test_defaults(event: midi.MidiEvent, messages: list[Message]) -> None:
    assert Desk().play(event) == messages


@given(data=st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    Desk().play(*midi.parse(data, 0.0))


def test_notes_end_where_they_began() -> None:
    desk = Desk()
    assert desk.play(note(60), note(60, channel=1), lift(60), lift(60, 1)) == [
        NoteOn(60, 99), NoteOn(60, 99), NoteOff(60),
    ]  # fmt: skip
    desk.play(note(64))
    desk.map.profile = desk.map.profile.with_role(SetChannelRole(1, "off"))
    assert desk.play(lift(64), note(65)) == [NoteOff(64)]


def test_chords_set_the_harmony_while_keys_are_down() -> None:
    desk = Desk(roles={2: "chords"})
    keys = [note(48, channel=1), note(52, channel=1), note(55, channel=1)]
    assert desk.play(*keys)[-1] == SetChord((0, 4, 7))
    assert desk.play(lift(48, 1), lift(52, 1)) == []  # lifting them one by one is no other chord
    assert desk.play(lift(55, 1)) == [SetChord(None)]


def test_the_drums_gate_stays_open_for_a_struck_pad() -> None:
    desk = Desk()
    assert desk.play(note(36, channel=9, time=1.0), lift(36, 9)) == [SetDrums(True)]
    assert desk.map.due(1.0 + GATE_SECONDS * 0.9) == []
    assert desk.map.due(1.0 + GATE_SECONDS) == [SetDrums(False)]
    assert desk.map.due(9.0) == []
    desk.play(note(36, channel=9, time=10.0))
    assert desk.map.due(20.0) == []  # held


def test_a_lost_device_lifts_its_keys() -> None:
    desk = Desk(roles={2: "chords"})
    desk.play(note(60), note(64), note(48, channel=1), lift(60))
    assert desk.map.lost() == [NoteOff(64), SetChord(None)]
    assert desk.map.lost() == []


@pytest.mark.parametrize("goes", ["unplugged", "reset"])
def test_pedal_and_wheel_do_not_stay_where_nobody_can_move_them(goes: str) -> None:
    desk = Desk()
    desk.play(note(60), control(64, 127), midi.PitchBend(0.0, 0, 8191), lift(60))
    assert desk.state["sustain"]
    asked = desk.map.lost() if goes == "unplugged" else desk.play(control(121, 0))
    assert asked == [Sustain(False), SetPitchBend(0.0)]
    assert desk.map.lost() == []
    desk.state |= fields_set(asked[0])
    assert desk.play(control(64, 127)) == [Sustain(True)]


def test_a_pedal_that_tells_its_whole_way_is_told_once_each_way() -> None:
    desk = Desk()
    way = [control(64, value) for value in (*range(0, 128, 3), *range(127, -1, -3))]
    assert desk.play(*way) == [Sustain(False), Sustain(True), Sustain(False)]
    desk.state["sustain"] = True  # another hand
    assert desk.play(control(64, 0)) == [Sustain(False)]
    assert desk.play(control(64, 99), control(123, 0), control(64, 99))[::2] == [Sustain(True)] * 2


def test_mpe_members_play_whatever_their_channels_role() -> None:
    desk = Desk()
    desk.play(control(101, 0), control(100, 6), control(6, 15))
    asked = desk.play(
        note(60, channel=9), midi.PitchBend(0.0, 9, 500), control(74, 99, 9), lift(60, 9)
    )
    assert asked == [NoteOn(60, 99), NoteOff(60)]


def test_encoders_of_all_three_encodings() -> None:
    for encoding, right, left in (
        ("relative-two", 1, 127), ("relative-offset", 65, 63), ("relative-signed", 1, 65),
    ):  # fmt: skip
        desk = Desk(SetMapping("cc:1:20", "set_density", encoding=encoding))
        desk.state["density"] = 0.5
        assert desk.play(control(20, right))[-1] == SetDensity(0.51)
        assert desk.play(control(20, left), control(20, left))[-1] == SetDensity(0.49)
        for _ in range(60):
            desk.play(control(20, left))
        assert desk.state["density"] == 0.0


def test_fine_controls_buttons_and_turned_ranges() -> None:
    desk = Desk(
        SetMapping("cc14:1:2", "set_density", takeover="jump"),
        SetMapping("nrpn:1:300", "set_brightness", low=1.0, high=0.0, takeover="jump"),
        SetMapping("note:10:36", "mute", encoding="toggle"),
        SetMapping("note:10:37", "recall_scene:verse", encoding="trigger"),
        SetMapping("cc:1:22", "set_notes_mode", takeover="jump"),
    )
    desk.play(control(2, 64), control(34, 1))
    assert desk.play(control(2, 64), control(34, 2)) == [SetDensity(round(8194 / 16383, 6))]
    assert desk.play(control(99, 2), control(98, 44), control(6, 127)) == [SetBrightness(0.0)]
    assert desk.play(note(36, channel=9), lift(36, 9), note(36, channel=9)) == [
        Mute(True), Mute(False),
    ]  # fmt: skip
    assert desk.play(note(37, channel=9), lift(37, 9)) == [RecallScene("verse")]
    assert desk.play(control(22, 64)) == [SetNotesMode("follow")]


def test_a_knob_picks_up_what_others_moved() -> None:
    desk = Desk(SetMapping("cc:1:20", "set_density"))
    desk.state["density"] = 0.5
    assert desk.play(control(20, 0), control(20, 30)) == []
    assert not desk.map.mappings()[0].holds
    assert desk.map.mappings()[0].hand == pytest.approx(30 / 127)
    assert len(desk.play(control(20, 70), control(20, 10))) == 2
    desk.state["density"] = 0.9
    assert desk.play(control(20, 12)) == []
    assert desk.play(control(20, 120)) == [SetDensity(round(120 / 127, 6))]


@given(
    now=st.floats(0.0, 1.0),
    hands=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30),
    mode=st.sampled_from(["pickup", "scale"]),
)
def test_takeover_never_jumps(now: float, hands: list[float], mode: str) -> None:
    """No single movement takes the control further than the knob itself went, and a little."""
    takeover = SoftTakeover(mode)
    before = None
    for hand in hands:
        went = takeover.moved(hand, now)
        if went is not None:
            assert 0.0 <= went <= 1.0
            reach = 1.0 if before is None else abs(hand - before)
            if mode == "pickup" and before is not None:
                assert abs(went - now) <= reach + NEAR + 1e-9
            now = went
            takeover.left_at(went)
        before = hand


def test_scaled_takeover_meets_the_knob_at_the_end() -> None:
    takeover, now = SoftTakeover("scale"), 0.8
    for hand in (0.2, 0.4, 0.6, 0.8, 1.0):
        went = takeover.moved(hand, now)
        assert went is None or went >= now
        now = now if went is None else went
    assert now == pytest.approx(1.0)
