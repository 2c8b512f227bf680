"""Musical time: tempo, clocks, play and stop, quantised changes, going back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Lane, Message, nested

Boundary = Literal["now", "beat", "bar", "phrase"]
BOUNDARIES: tuple[Boundary, ...] = ("now", "beat", "bar", "phrase")
CLOCK_SOURCES = ("internal", "midi", "link")


@dataclass(frozen=True)
class SetTempo(Message):
    """Beats a minute of the musical clock; the beat phase runs on without a jump."""

    bpm: float = checked(fields.number(20.0, 400.0))


@dataclass(frozen=True)
class SetBeat(Message):
    """Sets the musical position in beats from the first bar's downbeat (0 restarts the bar)."""

    beat: float = checked(fields.number(0.0, 1e7))


@dataclass(frozen=True)
class SetMeter(Message):
    """Beats a bar and bars a phrase."""

    beats_per_bar: int = checked(fields.whole(1, 16))
    bars_per_phrase: int = checked(fields.whole(1, 64), default=8)


@dataclass(frozen=True)
class Tap(Message):
    """One tap of the tempo; two or more set it, the newest being on the beat."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class SetClock(Message):
    """Follows another clock: at the sound heard at stream position `heard` its time is `beat`.

    Whoever receives the clock leaves `heard` at None; it is filled in from what is heard at that
    moment. The engine's clock agrees with it from the first sound not committed on.
    """

    bpm: float = checked(fields.number(20.0, 400.0))
    beat: float = checked(fields.number(0.0, 1e7))
    heard: int | None = checked(fields.maybe(fields.whole(-(2**53), 2**53)), default=None)


@dataclass(frozen=True)
class SetClockSource(Message):
    """Who gives the tempo: ourselves and tap, MIDI clock, or Ableton Link."""

    lane: ClassVar[Lane] = "instant"
    source: str = checked(fields.choice(CLOCK_SOURCES))


@dataclass(frozen=True)
class SetClockOut(Message):
    """Whether MIDI clock, start, stop and song position are sent."""

    lane: ClassVar[Lane] = "instant"
    on: bool = checked(fields.flag)


@dataclass(frozen=True)
class Play(Message):
    """Sound goes on from where it paused; after `Stop`, from the first downbeat."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class Pause(Message):
    """Fades out and holds everything where it is."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class Stop(Message):
    """Fades out; the next `Play` starts at beat 0 with an empty context."""

    lane: ClassVar[Lane] = "instant"


# --- scene lane -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetQuantise(Message):
    """The boundary that prompts and scenes wait for, where they name none themselves."""

    boundary: str = checked(fields.choice(BOUNDARIES))


@dataclass(frozen=True)
class Quantised(Message):
    """Any block-lane change, made at the next beat, bar or phrase.

    >>> from lmdm.live.messages import SetGuidance
    >>> Quantised("bar", SetGuidance(3.0)).change
    SetGuidance(scale=3.0)
    """

    lane: ClassVar[Lane] = "scene"
    boundary: str = checked(fields.choice(BOUNDARIES))
    change: Message = checked(nested)  # noqa: RUF009 -- a field, as all the others


@dataclass(frozen=True)
class CancelQuantised(Message):
    """Withdraws every change that still waits for its boundary."""


@dataclass(frozen=True)
class UndoBars(Message):
    """Goes back: the music continues from how it stood at the beginning of a bar, `bars` ago.

    1 is the beginning of the bar before the present one. Context, controls and beat return; the
    sound and the take go on without a hole.
    """

    bars: int = checked(fields.whole(1, 1000))


@dataclass(frozen=True)
class UndoChange(Message):
    """Takes back the last edit of a control (not notes)."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class RedoChange(Message):
    """Makes the edit again that was taken back last."""

    lane: ClassVar[Lane] = "instant"
