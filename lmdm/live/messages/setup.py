"""Devices, ports and what a controller's knobs mean. Instant lane; nothing here is in a take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Lane, Message

CHANNEL_ROLES = ("melody", "chords", "drums", "off")
TAKEOVERS = ("jump", "pickup", "scale")
ENCODINGS = (
    "absolute", "toggle", "trigger", "relative-signed", "relative-offset", "relative-two"
)  # fmt: skip

_PORT = fields.text(200)


@dataclass(frozen=True)
class SelectOutput(Message):
    """Plays through another audio device, by name or part of it; empty is the default device."""

    lane: ClassVar[Lane] = "instant"
    device: str = checked(_PORT)


@dataclass(frozen=True)
class SelectInput(Message):
    """Listens to an audio input device, by name or part of it; empty is none."""

    lane: ClassVar[Lane] = "instant"
    device: str = checked(_PORT)


@dataclass(frozen=True)
class SetBuffer(Message):
    """Milliseconds of sound kept ready for the device: fewer answer sooner, more are safer."""

    lane: ClassVar[Lane] = "instant"
    milliseconds: float = checked(fields.number(5.0, 1000.0))


@dataclass(frozen=True)
class SelectMidiInput(Message):
    """Listens to a MIDI port, by name or part of it; empty is our own virtual port."""

    lane: ClassVar[Lane] = "instant"
    port: str = checked(_PORT)


@dataclass(frozen=True)
class SelectMidiOutput(Message):
    """Sends clock and feedback to a MIDI port, by name or part of it; empty is none."""

    lane: ClassVar[Lane] = "instant"
    port: str = checked(_PORT)


@dataclass(frozen=True)
class SetChannelRole(Message):
    """What the notes of a MIDI channel (1 to 16) do.

    `melody` plays notes, `chords` sets the harmony, `drums` lets the model play drums while a key
    is down, `off` nothing.
    """

    lane: ClassVar[Lane] = "instant"
    of: ClassVar[tuple[str, ...]] = ("channel",)
    channel: int = checked(fields.whole(1, 16))
    role: str = checked(fields.choice(CHANNEL_ROLES))


@dataclass(frozen=True)
class BeginLearn(Message):
    """The next controller that moves is mapped to `target`.

    `target` is the kind of a message, such as `set_guidance`, with the name of what it acts on
    after a colon where it needs one: `recall_scene:verse`, `mute`, `play`.
    """

    lane: ClassVar[Lane] = "instant"
    target: str = checked(fields.text(200))


@dataclass(frozen=True)
class CancelLearn(Message):
    """No controller is mapped after all."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class ForgetMapping(Message):
    """Forgets every mapping to `target`; an empty target forgets all of this device."""

    lane: ClassVar[Lane] = "instant"
    target: str = checked(fields.text(200))


@dataclass(frozen=True)
class SetMapping(Message):
    """Maps a controller by hand, or changes how a learnt one acts.

    Attributes:
        source: `cc:1:74` (channel, controller), `cc14:1:2`, `nrpn:1:300`, `note:10:36`, `bend:1`,
            `program:1`, `pressure:1`.
        target: as in `BeginLearn`.
        low, high: share of the target's range, 0 to 1, at the controller's lowest and highest
            value; low above high turns it round.
        takeover: `jump` acts at once, `pickup` waits until it has passed the present value,
            `scale` approaches it.
        encoding: how its values are meant.
    """

    lane: ClassVar[Lane] = "instant"
    of: ClassVar[tuple[str, ...]] = ("source", "target")
    source: str = checked(fields.text(80))
    target: str = checked(fields.text(200))
    low: float = checked(fields.number(0.0, 1.0), default=0.0)
    high: float = checked(fields.number(0.0, 1.0), default=1.0)
    takeover: str = checked(fields.choice(TAKEOVERS), default="pickup")
    encoding: str = checked(fields.choice(ENCODINGS), default="absolute")


@dataclass(frozen=True)
class ExportMappings(Message):
    """Writes the mappings of the device in use into a TOML file."""

    lane: ClassVar[Lane] = "instant"
    file: str = checked(fields.text(4096))


@dataclass(frozen=True)
class ImportMappings(Message):
    """Takes the mappings of a TOML file over for the device in use."""

    lane: ClassVar[Lane] = "instant"
    file: str = checked(fields.text(4096))


@dataclass(frozen=True)
class SetOsc(Message):
    """OSC: the UDP port we listen on (0: none), and whom the state is sent to (empty: nobody)."""

    lane: ClassVar[Lane] = "instant"
    port: int = checked(fields.whole(0, 65535))
    reply_host: str = checked(fields.text(255), default="")
    reply_port: int = checked(fields.whole(0, 65535), default=0)
