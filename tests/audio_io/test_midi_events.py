"""Laws of the MIDI parser: no bytes raise, real messages come back, the rest is passed over."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import mido
from hypothesis import given
from hypothesis import strategies as st

from audio_io.midi_events import (
    ChannelPressure,
    Clock,
    Continue,
    ControlChange,
    KeyPressure,
    MidiParser,
    NoteOff,
    NoteOn,
    PitchBend,
    ProgramChange,
    SongPosition,
    Start,
    Stop,
    encode,
    parse,
)

channel, seven = st.integers(0, 15), st.integers(0, 127)

events = st.one_of(
    st.builds(NoteOn, st.just(1.0), channel, seven, st.integers(1, 127)),
    st.builds(NoteOff, st.just(1.0), channel, seven),
    st.builds(ControlChange, st.just(1.0), channel, seven, seven),
    st.builds(ProgramChange, st.just(1.0), channel, seven),
    st.builds(PitchBend, st.just(1.0), channel, st.integers(-8192, 8191)),
    st.builds(ChannelPressure, st.just(1.0), channel, seven),
    st.builds(KeyPressure, st.just(1.0), channel, seven, seven),
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
        case ChannelPressure(_, chan, pressure):
            return mido.Message("aftertouch", channel=chan, value=pressure)
        case KeyPressure(_, chan, pitch, pressure):
            return mido.Message("polytouch", channel=chan, note=pitch, value=pressure)
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


@given(sent=events)
def test_encoding_is_what_others_write(sent: object) -> None:
    assert list(encode(sent)) == to_mido(sent).bytes()
    assert parse(encode(sent), 1.0) == (sent,)


@given(data=st.binary(max_size=100), cuts=st.lists(st.integers(0, 100), max_size=5))
def test_a_stream_may_be_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    parser = MidiParser()
    edges = [0, *sorted(cuts), len(data)]
    pieces = [parser.feed(data[a:b], 0.0) for a, b in itertools.pairwise(edges)]
    assert tuple(event for piece in pieces for event in piece) == parse(data[: max(edges)], 0.0)


@given(sent=events, junk=st.lists(st.sampled_from([0xF8, 0xFE, 0xFF]), max_size=3))
def test_realtime_bytes_inside_a_message_disturb_nothing(sent: object, junk: list[int]) -> None:
    data = to_mido(sent).bytes()
    mixed = bytes([data[0], *junk, *data[1:]])
    clocks = [Clock(1.0)] * junk.count(0xF8)
    expected = [sent, *clocks] if len(data) == 1 else [*clocks, sent]
    assert list(parse(mixed, 1.0)) == expected


def test_running_status_sysex_and_zero_velocity() -> None:
    data = bytes([0xF0, 1, 2, 3, 0xF7, 5, 0x91, 60, 9, 60, 0, 0xF6, 7, 0xF4, 60, 5])
    assert parse(data, 2.0) == (NoteOn(2.0, 1, 60, 9), NoteOff(2.0, 1, 60))
