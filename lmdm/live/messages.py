"""Control messages (musician to engine) and snapshots (engine to musician).

Every message is a small frozen dataclass with plain fields. `to_dict` and `from_dict` turn it into
JSON and back; that form is what crosses the process boundary, what a take's log keeps and what OSC
or a script may send. Nothing here is ever pickled, and a kind or field that is not known is refused
by its name.

Each message names its *lane* (DESIGN.md section 2): `instant` acts in the audio path, `block` acts
from the next block the engine has not committed, `scene` waits for a musical boundary.

    >>> to_dict(NoteOn(60, 100))
    {'kind': 'note_on', 'pitch': 60, 'velocity': 100}
    >>> from_dict({'kind': 'set_tempo', 'bpm': 96})
    SetTempo(bpm=96.0)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

from lmdm.errors import InputError

Lane = Literal["instant", "block", "scene"]
NotesMode = Literal["auto", "follow", "free"]
NOTES_MODES: tuple[NotesMode, ...] = ("auto", "follow", "free")

Parser = Callable[[object], Any]


def _number(low: float, high: float) -> Parser:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"a number from {low:g} to {high:g} is needed, not {value!r}")
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"{value!r} lies outside {low:g} to {high:g}")
        return float(value)

    return parse


def _whole(low: int, high: int) -> Parser:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"a whole number from {low} to {high} is needed, not {value!r}")
        if not low <= value <= high:
            raise InputError(f"{value} lies outside {low} to {high}")
        return value

    return parse


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"true or false is needed, not {value!r}")
    return value


def _maybe(parse: Parser) -> Parser:
    return lambda value: None if value is None else parse(value)


def _text(limit: int) -> Parser:
    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise InputError(f"text is needed, not {value!r}")
        if len(value) > limit:
            raise InputError(f"a text of at most {limit} characters is needed, not {len(value)}")
        return value

    return parse


def _choice(options: tuple[str, ...]) -> Parser:
    def parse(value: object) -> str:
        if value not in options:
            raise InputError(f"one of {', '.join(options)} is needed, not {value!r}")
        return str(value)

    return parse


def _sequence(parse: Parser, most: int) -> Parser:
    def parse_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"a list is needed, not {value!r}")
        if len(value) > most:
            raise InputError(f"a list of at most {most} entries is needed, not {len(value)}")
        return tuple(parse(entry) for entry in value)

    return parse_all


_PROMPT_TEXT = _text(1000)
_PROMPT_WEIGHT = _number(0.0, 100.0)


def _prompt(value: object) -> tuple[str, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InputError(f"a prompt is a pair of text and weight, not {value!r}")
    return _PROMPT_TEXT(value[0]), _PROMPT_WEIGHT(value[1])


def checked(parse: Parser, **keywords: Any) -> Any:
    """A dataclass field whose value is checked and normalised by `parse`."""
    return field(metadata={"parse": parse}, **keywords)


@dataclass(frozen=True)
class Message:
    """Base of every control message; `kind` is the class name in snake case."""

    lane: ClassVar[Lane] = "block"

    def __post_init__(self) -> None:
        for each in fields(self):
            try:
                value = each.metadata["parse"](getattr(self, each.name))
            except InputError as problem:
                raise InputError(f"{kind_of(type(self))}: {each.name}: {problem}") from None
            object.__setattr__(self, each.name, value)


# --- block lane: what the model hears -------------------------------------------------------


@dataclass(frozen=True)
class SetPrompts(Message):
    """Weighted text prompts, `((text, weight), ...)`; weights are normalised to a sum of 1."""

    prompts: tuple[tuple[str, float], ...] = checked(_sequence(_prompt, 32))


@dataclass(frozen=True)
class SetBlend(Message):
    """Crossfade along the prompt list: 0 is the first prompt, 1 the last; None uses the weights."""

    position: float | None = checked(_maybe(_number(0.0, 1.0)))


@dataclass(frozen=True)
class SetGuidance(Message):
    """Classifier-free guidance scale; 1 is none."""

    scale: float = checked(_number(0.0, 20.0))


@dataclass(frozen=True)
class SetSteps(Message):
    """Denoising steps a block; None is the model's own number."""

    steps: int | None = checked(_maybe(_whole(1, 64)))


@dataclass(frozen=True)
class SetTempo(Message):
    """Beats a minute of the musical clock; the beat phase runs on without a jump."""

    bpm: float = checked(_number(20.0, 400.0))


@dataclass(frozen=True)
class SetBeat(Message):
    """Sets the musical position in beats from the first bar's downbeat (0 restarts the bar)."""

    beat: float = checked(_number(0.0, 1e7))


@dataclass(frozen=True)
class SetDrums(Message):
    """Drums on, off, or None: the model decides."""

    on: bool | None = checked(_maybe(_flag))


@dataclass(frozen=True)
class SetChord(Message):
    """Pitch classes (0 = C) of the harmony, or None: the model decides."""

    pitch_classes: tuple[int, ...] | None = checked(_maybe(_sequence(_whole(0, 11), 12)))


@dataclass(frozen=True)
class SetLoudness(Message):
    """Loudness of the mix asked of the model, in dB RMS full scale, or None: the model decides."""

    level_db: float | None = checked(_maybe(_number(-72.0, 0.0)))


@dataclass(frozen=True)
class SetNotesMode(Message):
    """When the model must follow the notes.

    `auto`: while a note sounds, and freely otherwise; `follow`: always, so no note means silence;
    `free`: never.
    """

    mode: str = checked(_choice(NOTES_MODES))


@dataclass(frozen=True)
class SetSeed(Message):
    """Starts the noise again from a seed."""

    seed: int = checked(_whole(0, 2**31 - 1))


@dataclass(frozen=True)
class ResetContext(Message):
    """The model forgets what it played and starts afresh."""


@dataclass(frozen=True)
class Resume(Message):
    """A new engine goes on where one died: from the newest latents, with noise from this seed.

    The supervisor sends it; in a take's log it marks the place, so that a replay does the same.
    """

    seed: int = checked(_whole(0, 2**31 - 1))


@dataclass(frozen=True)
class NoteOn(Message):
    """A key goes down. `pitch` is the MIDI number (60 = middle C), `velocity` 1 to 127."""

    pitch: int = checked(_whole(0, 127))
    velocity: int = checked(_whole(1, 127), default=100)


@dataclass(frozen=True)
class NoteOff(Message):
    """A key comes up."""

    pitch: int = checked(_whole(0, 127))


@dataclass(frozen=True)
class Sustain(Message):
    """The sustain pedal: while it is down, keys that come up keep sounding."""

    down: bool = checked(_flag)


@dataclass(frozen=True)
class AllNotesOff(Message):
    """Every key and the pedal come up."""


# --- instant lane: what the audio path does -------------------------------------------------


@dataclass(frozen=True)
class SetGain(Message):
    """Output gain in dB."""

    lane: ClassVar[Lane] = "instant"
    gain_db: float = checked(_number(-90.0, 12.0))


@dataclass(frozen=True)
class Mute(Message):
    """Silences the output (the music goes on unheard)."""

    lane: ClassVar[Lane] = "instant"
    on: bool = checked(_flag)


@dataclass(frozen=True)
class Panic(Message):
    """Silence at once: mutes the output, lifts every note and clears what is buffered."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class SetLead(Message):
    """Seconds of audio the engine keeps generated ahead of what is heard."""

    lane: ClassVar[Lane] = "instant"
    seconds: float = checked(_number(0.05, 10.0))


@dataclass(frozen=True)
class StartRecording(Message):
    """Begins a take in `folder`, or in a new dated folder when it is empty."""

    lane: ClassVar[Lane] = "instant"
    folder: str = checked(_text(4096), default="")


@dataclass(frozen=True)
class StopRecording(Message):
    """Ends the take."""

    lane: ClassVar[Lane] = "instant"


@dataclass(frozen=True)
class Quit(Message):
    """Ends the session."""

    lane: ClassVar[Lane] = "instant"


def kind_of(message_type: type) -> str:
    """`NoteOn` to `note_on`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", message_type.__name__).lower()


MESSAGES: dict[str, type[Message]] = {kind_of(each): each for each in Message.__subclasses__()}


def to_dict(message: Message) -> dict[str, object]:
    """The JSON form of a message: its fields and `kind`."""
    values: dict[str, object] = {"kind": kind_of(type(message))}
    for each in fields(message):
        values[each.name] = _plain(getattr(message, each.name))
    return values


def from_dict(values: Mapping[str, object]) -> Message:
    """The message of a JSON form.

    Raises:
        InputError: an unknown kind or field, a missing field, or a value outside its range.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"a control message is an object with a kind, not {values!r}")
    kind = values.get("kind")
    message_type = MESSAGES.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise InputError(f"unknown control message {kind!r}; known are {', '.join(MESSAGES)}")
    return _built(message_type, {k: v for k, v in values.items() if k != "kind"}, str(kind))


# --- snapshots ------------------------------------------------------------------------------

Status = Literal["loading", "playing", "restarting", "stopped", "failed"]


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a control to the first sample it changed, over the last controls."""

    p50: float = 0.0
    p95: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What the musician sees, sent about twenty times a second. All fields are plain values.

    Levels are dB full scale of the last block (-120 is silence); `latency` maps a lane to its
    measured latency; `beat` counts beats from the first downbeat at the sound that is now
    generated, `heard_beat` at the sound that is now heard.
    """

    status: Status = "loading"
    text: str = ""  # one line for the musician: what is happening, or why it is not
    progress: float = 0.0  # of loading, 0 to 1
    model: str = ""
    block: int = 0  # blocks generated
    samples: int = 0  # samples generated at 44.1 kHz
    heard: int = 0  # samples heard
    real_time_factor: float = 0.0  # generation time / duration, over the last blocks; under 1 plays
    block_ms: float = 0.0  # duration of a block
    lead_ms: float = 0.0  # sound generated and not yet heard
    device_ms: float = 0.0  # latency the device reports
    latency: Mapping[str, Latency] = field(default_factory=dict)
    underruns: int = 0
    restarts: int = 0
    governor: str = ""  # what quality was given up, and why; empty when nothing was
    limiter_db: float = 0.0  # gain reduction, 0 or below
    level_db: tuple[float, float] = (-120.0, -120.0)  # RMS, left and right
    peak_db: tuple[float, float] = (-120.0, -120.0)
    prompts: tuple[tuple[str, float], ...] = ()
    blend: float | None = None
    guidance: float = 1.0
    steps: int = 4
    bpm: float = 120.0
    beat: float = 0.0
    heard_beat: float = 0.0
    drums: bool | None = None
    chord: tuple[int, ...] | None = None
    loudness_db: float | None = None
    notes_mode: str = "auto"
    held: tuple[int, ...] = ()  # pitches that sound
    sustain: bool = False
    seed: int = 0
    gain_db: float = 0.0
    muted: bool = False
    recording: str = ""  # the take's folder, empty when none
    device: str = ""
    midi: str = ""

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Snapshot:
        """The snapshot of a JSON form. Raises InputError on an unknown field."""
        prepared: dict[str, object] = {}
        for name, value in values.items():
            if name == "latency" and isinstance(value, Mapping):
                prepared[name] = {lane: _built(Latency, v, "latency") for lane, v in value.items()}
            elif name == "prompts" and isinstance(value, (list, tuple)):
                prepared[name] = tuple((str(text), float(weight)) for text, weight in value)
            else:
                prepared[name] = tuple(value) if isinstance(value, list) else value
        return _built(cls, prepared, "snapshot")


Built = TypeVar("Built")


def _built(target: type[Built], values: Mapping[str, Any], what: str) -> Built:
    known = [each.name for each in fields(target)]  # type: ignore[arg-type]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise InputError(
            f"{what} has no field {unknown[0]!r}; it has {', '.join(known) or 'no fields'}"
        )
    try:
        return target(**values)
    except TypeError:
        missing = [name for name in known if name not in values]
        raise InputError(f"{what} lacks the field {missing[0]!r}") from None


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Latency):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value
