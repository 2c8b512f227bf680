"""Knobs, faders, wheels and pads: MIDI events to movements of named physical controls.

One knob may be a plain controller, the upper and lower half of a 14-bit pair, or a parameter number
(NRPN, RPN) followed by data entry. `Controllers` puts these together; what a movement then does is
not decided here.

    >>> controllers = Controllers()
    >>> turns = controllers.feed(ControlChange(0.0, 0, 74, 127))
    >>> str(turns[0].source), turns[0].value
    ('cc:1:74', 1.0)

Sources: MIDI 1.0 Detailed Specification 4.2, "Control Change"; MIDI Polyphonic Expression 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from audio_io.midi_events import (
    ChannelPressure,
    ControlChange,
    MidiEvent,
    NoteOff,
    NoteOn,
    PitchBend,
    ProgramChange,
)
from lmdm.errors import InputError

KINDS = {  # kind of source -> how many numbers it has
    "cc": 128,
    "cc14": 32,
    "nrpn": 1 << 14,
    "rpn": 1 << 14,
    "note": 128,
    "bend": 1,
    "pressure": 1,
    "program": 1,
}
_DATA, _DATA_LOW, _INCREMENT, _DECREMENT = 6, 38, 96, 97
_NRPN_LOW, _NRPN, _RPN_LOW, _RPN = 98, 99, 100, 101
_PARAMETER_CONTROLS = {_DATA, _DATA_LOW, _INCREMENT, _DECREMENT, _NRPN_LOW, _NRPN, _RPN_LOW, _RPN}
_NULL = (1 << 14) - 1  # the parameter number that means none
_MPE_CONFIGURATION = 6  # RPN
_TIMBRE = 74  # CC of an MPE note's third dimension


@dataclass(frozen=True)
class Source:
    """A physical control: its kind, its channel 0-15 (None: any), and its number.

    Written `kind:channel:number` with channels as musicians count them, 1 to 16, or `*` for any:
    `cc:1:74`, `nrpn:*:300`; kinds of which a channel has one only have no number: `bend:1`.
    """

    kind: str
    channel: int | None
    number: int = 0

    def __str__(self) -> str:
        channel = "*" if self.channel is None else self.channel + 1
        text = f"{self.kind}:{channel}"
        return text if KINDS[self.kind] == 1 else f"{text}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Source:
        """The source that a text names.

        Raises:
            InputError: it names none.
        """
        kind, *rest = text.strip().split(":")
        count = KINDS.get(kind, 0)
        channel = rest[0] if rest else ""
        number = rest[1] if len(rest) == 2 else "0" if len(rest) == 1 and count == 1 else ""
        if not (
            (channel == "*" or _whole(channel, 1, 16))
            and _whole(number, 0, count - 1)
            and (count > 1 or len(rest) == 1)
        ):
            raise InputError(
                f"{text!r} is no MIDI control: write kind:channel:number, such as cc:1:74, "
                "cc14:1:2, nrpn:1:300, rpn:1:5, note:10:36, or bend:1, pressure:1, program:1"
            )
        return cls(kind, None if channel == "*" else int(channel) - 1, int(number))

    def matches(self, other: Source) -> bool:
        """Whether a movement of `other`, which has a channel, is one of this control."""
        same = (self.kind, self.number) == (other.kind, other.number)
        return same and self.channel in (None, other.channel)


def _whole(text: str, low: int, high: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and low <= int(text) <= high


@dataclass(frozen=True)
class Turn:
    """A control has moved to `value`, 0 to 1; for data increments by `steps` instead.

    `raw` is the 7-bit value as sent, which relative encoders need; a released note has value 0. The
    movement of a 14-bit pair whose lower half was never seen is not `fine`.
    """

    source: Source
    value: float
    raw: int = 0
    steps: int = 0
    fine: bool = True


@dataclass
class _Channel:
    high: dict[int, int] = field(default_factory=dict)  # CC 0-31 -> last upper half
    paired: set[int] = field(default_factory=set)  # CC 0-31 whose lower half has been seen
    parameter: tuple[str, int] = ("nrpn", _NULL)  # kind and number that data entry is for
    number_high: int = 0x7F
    data_high: int = 0
    fine: set[tuple[str, int]] = field(default_factory=set)  # parameters with 14-bit data


class Controllers:
    """Follows every channel of one device.

    The upper half of a 14-bit pair comes first, as the specification says: once a lower half has
    been seen, a movement is told when the lower half arrives. Channels of an MPE zone carry one
    note each; their bend, pressure and timbre are that note's and no control's.

    Threads: none; one thread feeds.
    """

    def __init__(self) -> None:
        self._channels = [_Channel() for _ in range(16)]
        self._members: dict[int, frozenset[int]] = {}  # MPE manager channel -> member channels

    @property
    def note_channels(self) -> frozenset[int]:
        """Channels that an MPE controller uses for one note each."""
        return frozenset().union(*self._members.values())

    def feed(self, event: MidiEvent) -> tuple[Turn, ...]:
        """The movements that an event completes."""
        match event:
            case ControlChange(channel=channel, control=control, value=value):
                if control == _TIMBRE and channel in self.note_channels:
                    return ()
                if control in _PARAMETER_CONTROLS:
                    turns = self._parameter(channel, control, value)
                    if turns is not None:
                        return turns
                return self._control(channel, control, value)
            case PitchBend(channel=channel, bend=bend) if channel not in self.note_channels:
                place = bend / 8192 if bend < 0 else bend / 8191  # rest is exactly the middle
                return (Turn(Source("bend", channel), 0.5 + 0.5 * place),)
            case ChannelPressure(channel=channel, pressure=raw):
                if channel not in self.note_channels:
                    return (Turn(Source("pressure", channel), raw / 127, raw),)
            case ProgramChange(channel=channel, program=raw):
                return (Turn(Source("program", channel), raw / 127, raw),)
            case NoteOn(channel=channel, pitch=pitch, velocity=velocity):
                return (Turn(Source("note", channel, pitch), velocity / 127, velocity),)
            case NoteOff(channel=channel, pitch=pitch):
                return (Turn(Source("note", channel, pitch), 0.0),)
        return ()

    def _control(self, channel: int, control: int, value: int) -> tuple[Turn, ...]:
        plain = Turn(Source("cc", channel, control), value / 127, value)
        state = self._channels[channel]
        if control < 32:
            state.high[control] = value
            if control in state.paired:
                return (plain,)
            return plain, Turn(Source("cc14", channel, control), value / 127, value, fine=False)
        upper = control - 32
        if upper < 32 and upper in state.high:
            state.paired.add(upper)
            fine = (state.high[upper] << 7 | value) / 16383
            return plain, Turn(Source("cc14", channel, upper), fine, value)
        return (plain,)

    def _parameter(self, channel: int, control: int, value: int) -> tuple[Turn, ...] | None:
        """Movements of parameter numbers; None where the event is a plain controller after all."""
        state = self._channels[channel]
        if control in (_NRPN, _RPN):
            state.number_high = value
            state.parameter = ("nrpn" if control == _NRPN else "rpn", _NULL)
            return ()
        if control in (_NRPN_LOW, _RPN_LOW):
            kind = "nrpn" if control == _NRPN_LOW else "rpn"
            state.parameter = (kind, state.number_high << 7 | value)
            state.data_high = 0
            return ()
        kind, number = state.parameter
        if number == _NULL:
            return None if control in (_DATA, _DATA_LOW) else ()
        source = Source(kind, channel, number)
        if control in (_INCREMENT, _DECREMENT):
            return (Turn(source, 0.0, steps=1 if control == _INCREMENT else -1),)
        if control == _DATA_LOW:
            state.fine.add(state.parameter)
            return (Turn(source, (state.data_high << 7 | value) / 16383, value),)
        state.data_high = value
        if (kind, number) == ("rpn", _MPE_CONFIGURATION):
            self._configure_mpe(channel, value)
            return ()
        return () if state.parameter in state.fine else (Turn(source, value / 127, value),)

    def _configure_mpe(self, manager: int, members: int) -> None:
        """Channel 1 manages a lower zone, channel 16 an upper one; no members end the zone."""
        members = min(members, 15)
        if manager == 0:
            self._members[0] = frozenset(range(1, 1 + members))
        elif manager == 15:
            self._members[15] = frozenset(range(15 - members, 15))
