"""Laws of the MIDI parser: no bytes raise, real messages come back, the rest is passed over."""

from __future__ import annotations

from dataclasses import asdict

import mido
from hypothesis import given
from hypothesis import strategies as st

from audio_io.midi_events import (
    Clock,
    Continue,
    ControlChange,
    NoteOff,
    NoteOn,
    PitchBend,
    ProgramChange,
    SongPosition,
    Start,
    Stop,
    parse,
)

channel, seven = st.integers(0, 15), st.integers(0, 127)

events = st.one_of(
    st.builds(NoteOn, st.just(1.0), channel, seven, st.integers(1, 127)),
    st.builds(NoteOff, st.just(1.0), channel, seven),
    st.builds(ControlChange, st.just(1.0), channel, seven, seven),
    st.builds(ProgramChange, st.just(1.0), channel, seven),
    st.builds(PitchBend, st.just(1.0), channel, st.integers(-8192, 8191)),
    st.builds(SongPosition, st.just(1.0), st.integers(0, 16383)),
    st.sampled_from([Clock(1.0), Start(1.0), Continue(1.0), Stop(1.0)]),
)


def to_mido(event: object) -> mido.Message:
    """The same message made by an independent encoder."""
    match event:
        case NoteOn(_, chan, pitch, velocity):
            return mido.Message("note_on", channel=chan, note=pitch, velocity=velocity)
        case NoteOff(_, chan, pitch):
            return mido.Message("note_off", channel=chan, note=pitch)
        case ControlChange(_, chan, control, value):
            return mido.Message("control_change", channel=chan, control=control, value=value)
        case ProgramChange(_, chan, program):
            return mido.Message("program_change", channel=chan, program=program)
        case PitchBend(_, chan, bend):
            return mido.Message("pitchwheel", channel=chan, pitch=bend)
        case SongPosition(_, sixteenths):
            return mido.Message("songpos", pos=sixteenths)
    return mido.Message(type(event).__name__.lower())


@given(data=st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    for event in parse(data, 0.0):
        for name, value in asdict(event).items():
            low, high = (-8192, 16383) if name in {"bend", "sixteenths"} else (0, 127)
            assert low <= value <= high


@given(sent=st.lists(events, max_size=20))
def test_messages_come_back(sent: list[object]) -> None:
    data = b"".join(bytes(to_mido(event).bytes()) for event in sent)
    assert list(parse(data, 1.0)) == sent


@given(sent=events, junk=st.lists(st.sampled_from([0xF8, 0xFE, 0xFF]), max_size=3))
def test_realtime_bytes_inside_a_message_disturb_nothing(sent: object, junk: list[int]) -> None:
    data = to_mido(sent).bytes()
    mixed = bytes([data[0], *junk, *data[1:]])
    clocks = [Clock(1.0)] * junk.count(0xF8)
    expected = [sent, *clocks] if len(data) == 1 else [*clocks, sent]
    assert list(parse(mixed, 1.0)) == expected


def test_running_status_sysex_and_zero_velocity() -> None:
    data = bytes([0xF0, 1, 2, 3, 0xF7, 5, 0x91, 60, 9, 60, 0, 0xA1, 60, 5, 0xF6, 7])
    assert parse(data, 2.0) == (NoteOn(2.0, 1, 60, 9), NoteOff(2.0, 1, 60))
