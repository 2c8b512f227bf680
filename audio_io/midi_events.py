"""MIDI bytes to events and back.

    >>> parse(bytes([0x90, 60, 100, 62, 0]), time=0.5)
    (NoteOn(time=0.5, channel=0, pitch=60, velocity=100), NoteOff(time=0.5, channel=0, pitch=62))
    >>> encode(SongPosition(0.0, 130)).hex()
    'f20201'

Source: MIDI 1.0 Detailed Specification, document 4.2, tables 1-4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MidiEvent:
    """Anything a MIDI input says; `time` is `time.perf_counter()` seconds at arrival."""

    time: float


@dataclass(frozen=True)
class NoteOn(MidiEvent):
    """Key down; channel 0-15, pitch 0-127, velocity 1-127."""

    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class NoteOff(MidiEvent):
    """Key up (a note-on of velocity 0 too)."""

    channel: int
    pitch: int


@dataclass(frozen=True)
class ControlChange(MidiEvent):
    """A knob, fader or pedal; control 0-127, value 0-127."""

    channel: int
    control: int
    value: int


@dataclass(frozen=True)
class ProgramChange(MidiEvent):
    """Program 0-127."""

    channel: int
    program: int


@dataclass(frozen=True)
class PitchBend(MidiEvent):
    """Bend -8192 to 8191, 0 at rest."""

    channel: int
    bend: int


@dataclass(frozen=True)
class ChannelPressure(MidiEvent):
    """How hard the keys of a channel are held, 0-127."""

    channel: int
    pressure: int


@dataclass(frozen=True)
class KeyPressure(MidiEvent):
    """How hard one key is held, 0-127."""

    channel: int
    pitch: int
    pressure: int


@dataclass(frozen=True)
class Clock(MidiEvent):
    """One of 24 ticks of a quarter note."""


@dataclass(frozen=True)
class Start(MidiEvent):
    """Play from the beginning; the next Clock is the first downbeat."""


@dataclass(frozen=True)
class Continue(MidiEvent):
    """Play from where it stopped."""


@dataclass(frozen=True)
class Stop(MidiEvent):
    """Stop playing."""


@dataclass(frozen=True)
class SongPosition(MidiEvent):
    """Position in sixteenth notes from the beginning, 0-16383."""

    sixteenths: int


_REALTIME: dict[int, type[MidiEvent]] = {0xF8: Clock, 0xFA: Start, 0xFB: Continue, 0xFC: Stop}
_CHANNEL_LENGTH = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
_SYSTEM_LENGTH = {0xF1: 1, 0xF2: 2, 0xF3: 1}


def parse(data: bytes, time: float) -> tuple[MidiEvent, ...]:
    """Events of one whole run of MIDI bytes, in order (see `MidiParser`)."""
    return MidiParser().feed(data, time)


class MidiParser:
    """Events of a stream of MIDI bytes that may be cut anywhere.

    Takes running status, also from one piece to the next, and real-time bytes inside other
    messages. What it does not know (system exclusive of any length, undefined statuses), what is
    cut off by another message and what makes no sense is passed over; no input raises, and nothing
    is remembered beyond one message.
    """

    def __init__(self) -> None:
        self._status = 0
        self._values: list[int] = []

    def feed(self, data: bytes, time: float) -> tuple[MidiEvent, ...]:
        """The events that the next bytes complete; `time` is when they arrived."""
        events: list[MidiEvent] = []
        for byte in data:
            if byte >= 0xF8:  # real time: may stand anywhere and disturbs nothing
                if byte in _REALTIME:
                    events.append(_REALTIME[byte](time))
            elif byte >= 0x80:
                self._status, self._values = byte, []
            elif length := _length(self._status):
                self._values.append(byte)
                if len(self._values) == length:
                    event = _event(self._status, self._values, time)
                    if event is not None:
                        events.append(event)
                    self._values = []
                    if self._status >= 0xF0:  # system messages have no running status
                        self._status = 0
        return tuple(events)


def encode(event: MidiEvent) -> bytes:
    """The bytes of an event, as `parse` would read them."""
    match event:
        case NoteOn(channel=channel, pitch=pitch, velocity=velocity):
            return bytes((0x90 | channel, pitch, velocity))
        case NoteOff(channel=channel, pitch=pitch):
            return bytes((0x80 | channel, pitch, 64))
        case KeyPressure(channel=channel, pitch=pitch, pressure=pressure):
            return bytes((0xA0 | channel, pitch, pressure))
        case ControlChange(channel=channel, control=control, value=value):
            return bytes((0xB0 | channel, control, value))
        case ProgramChange(channel=channel, program=program):
            return bytes((0xC0 | channel, program))
        case ChannelPressure(channel=channel, pressure=pressure):
            return bytes((0xD0 | channel, pressure))
        case PitchBend(channel=channel, bend=bend):
            return bytes((0xE0 | channel, (bend + 8192) & 0x7F, (bend + 8192) >> 7))
        case SongPosition(sixteenths=sixteenths):
            return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))
    statuses = {kind: status for status, kind in _REALTIME.items()}
    return bytes((statuses[type(event)],))


def _length(status: int) -> int:
    """Data bytes after a status byte; 0 if they are to be passed over."""
    if status >= 0xF0:
        return _SYSTEM_LENGTH.get(status, 0)
    return _CHANNEL_LENGTH.get(status >> 4, 0)


def _event(status: int, values: list[int], time: float) -> MidiEvent | None:
    channel = status & 0x0F
    match status >> 4, values:
        case 0x9, [pitch, velocity] if velocity > 0:
            return NoteOn(time, channel, pitch, velocity)
        case ((0x8 | 0x9), [pitch, _]):
            return NoteOff(time, channel, pitch)
        case 0xA, [pitch, pressure]:
            return KeyPressure(time, channel, pitch, pressure)
        case 0xB, [control, value]:
            return ControlChange(time, channel, control, value)
        case 0xC, [program]:
            return ProgramChange(time, channel, program)
        case 0xD, [pressure]:
            return ChannelPressure(time, channel, pressure)
        case 0xE, [low, high]:
            return PitchBend(time, channel, low + 128 * high - 8192)
        case 0xF, [low, high] if status == 0xF2:
            return SongPosition(time, low + 128 * high)
    return None
