"""What the audio path does at once: level, mute, effects, live input. Instant lane.

The effects act on the output as it is heard; a take's log keeps them with the heard position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Lane, Message

JAM_MODES = ("off", "context", "sketch", "delay")


@dataclass(frozen=True)
class SetGain(Message):
    """Output gain in dB."""

    lane: ClassVar[Lane] = "instant"
    gain_db: float = checked(fields.number(-90.0, 12.0))


@dataclass(frozen=True)
class Mute(Message):
    """Silences the output (the music goes on unheard)."""

    lane: ClassVar[Lane] = "instant"
    on: bool = checked(fields.flag)


@dataclass(frozen=True)
class Panic(Message):
    """Silence at once: mutes the output, lifts every note and clears what is buffered."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class FadeOut(Message):
    """Fades the output to silence over some seconds, then mutes."""

    lane: ClassVar[Lane] = "instant"
    seconds: float = checked(fields.number(0.0, 60.0), default=5.0)


@dataclass(frozen=True)
class SetLowPass(Message):
    """Low-pass filter of the output at a frequency in Hz; None is none."""

    lane: ClassVar[Lane] = "instant"
    cutoff: float | None = checked(fields.maybe(fields.number(20.0, 20000.0)))


@dataclass(frozen=True)
class SetHighPass(Message):
    """High-pass filter of the output at a frequency in Hz; None is none."""

    lane: ClassVar[Lane] = "instant"
    cutoff: float | None = checked(fields.maybe(fields.number(20.0, 20000.0)))


# --- live input -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetInputGain(Message):
    """Gain of the live input in dB, before everything that hears it."""

    lane: ClassVar[Lane] = "instant"
    gain_db: float = checked(fields.number(-90.0, 36.0))


@dataclass(frozen=True)
class SetDry(Message):
    """How much of the live input itself is heard, 0 to 1."""

    lane: ClassVar[Lane] = "instant"
    amount: float = checked(fields.number(0.0, 1.0))


@dataclass(frozen=True)
class SetWet(Message):
    """How much of the model's sound is heard, 0 to 1."""

    lane: ClassVar[Lane] = "instant"
    amount: float = checked(fields.number(0.0, 1.0))


@dataclass(frozen=True)
class SetJamMode(Message):
    """What the live input does.

    `context`: a model that hears accompaniment plays along with it; any other goes on from it as
    if it had played it.
    `sketch`: its pitch becomes notes and its level loudness. `delay`: generative delay, the input
    played again after `SetDelay` as the model transforms it. Block lane.
    """

    mode: str = checked(fields.choice(JAM_MODES))


@dataclass(frozen=True)
class SetFutureVisibility(Message):
    """Beats of live input past the block's beginning that the model may hear (t_f).

    Below 0 it hears less, which leaves time to compute. Live it hears no more than has been played
    when a block must be made. Block lane.
    """

    beats: float = checked(fields.number(-8.0, 8.0))


@dataclass(frozen=True)
class SetDelay(Message):
    """Delay time in beats. Block lane: the engine places the input by it."""

    beats: float = checked(fields.number(0.25, 32.0))


@dataclass(frozen=True)
class SetTransform(Message):
    """How much of the delayed input the model makes anew: 0 keeps it, 1 is all its own."""

    amount: float = checked(fields.number(0.0, 1.0))


@dataclass(frozen=True)
class HearInput(Message):
    """Live input, encoded: as many latent frames as a block has, for the block that begins here.

    The engine makes it in the jam modes, so that a take's log holds all that the model heard.
    `latents` is base64 of little-endian float32, [channels, frames] in C order. `ahead`: how many
    frames after the block's beginning they end (below 0 before it). `known`: which of them had been
    played when they were needed; empty is all.
    """

    engines_own: ClassVar[bool] = True
    latents: str = checked(fields.text(1 << 16))
    ahead: int = checked(fields.whole(-4096, 4096), default=0)
    known: tuple[bool, ...] = checked(fields.sequence(fields.flag, 4096), default=())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.known and all(self.known):
            object.__setattr__(self, "known", ())


@dataclass(frozen=True)
class SetFeedback(Message):
    """Share of the model's sound that goes into the delay again; a guard keeps it bounded."""

    amount: float = checked(fields.number(0.0, 0.95))


# --- engine and take --------------------------------------------------------------------------


@dataclass(frozen=True)
class SetLead(Message):
    """Seconds of audio the engine keeps generated ahead of what is heard.

    More is safer; it costs no latency, because a change takes back what is not committed.
    """

    lane: ClassVar[Lane] = "instant"
    seconds: float = checked(fields.number(0.05, 10.0))


@dataclass(frozen=True)
class SetGovernor(Message):
    """Whether quality is given up by itself before the sound runs out."""

    lane: ClassVar[Lane] = "instant"
    on: bool = checked(fields.flag)


@dataclass(frozen=True)
class StartRecording(Message):
    """Begins a take in `folder`, or in a new dated folder when it is empty."""

    lane: ClassVar[Lane] = "instant"
    folder: str = checked(fields.text(4096), default="")


@dataclass(frozen=True)
class StopRecording(Message):
    """Ends the take."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class Quit(Message):
    """Ends the session."""

    lane: ClassVar[Lane] = "instant"
