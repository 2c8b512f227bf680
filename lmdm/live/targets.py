"""What a knob, fader or button can move: every control as a share from 0 to 1, and back.

A target is named by the kind of its message, with what it acts on after a colon where there are
several: `set_guidance`, `set_prompts:2` (the weight of the second prompt), `set_pad:x`,
`recall_scene:verse`, `undo_bars:4`.

    >>> target_of("set_guidance").message(0.5, {}.get)
    SetGuidance(scale=3.5)
    >>> target_of("mute").share({"muted": True}.get)
    1.0

`get(name)` everywhere is a look at one field of the newest `Snapshot`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from lmdm.errors import InputError
from lmdm.live.messages import (
    BLEND_MODES,
    BOUNDARIES,
    CLOCK_SOURCES,
    JAM_MODES,
    KEY_MODES,
    MESSAGES,
    NOTES_MODES,
    SEED_MODES,
    AllNotesOff,
    Message,
    Panic,
    Pause,
    Play,
    SetFreeze,
    SetPad,
    SetPrompts,
    StartRecording,
    StopRecording,
)

Get = Callable[[str], Any]
Shape = Literal["range", "switch", "choice", "trigger"]
SILENT_DB = -90.0
MOST_WEIGHT = 2.0  # of a prompt, at the top of its knob


@dataclass(frozen=True)
class Range:
    """Numbers that a knob runs through: `share` 0 is `low`, 1 is `high`.

    curve: `linear`; `ratio`, equal turns are equal ratios; `fader`, dB of which the upper half is
    the last 12, and the lowest is silence. open_end: the end (`low`, `high`) that means None.
    """

    field: str  # of the snapshot
    low: float = 0.0
    high: float = 1.0
    curve: Literal["linear", "ratio", "fader"] = "linear"
    whole: bool = False
    open_end: Literal["", "low", "high"] = ""

    def value(self, share: float) -> float | int | None:
        """The number at a share."""
        share = min(1.0, max(0.0, share))
        if (self.open_end == "low" and share <= 0.0) or (self.open_end == "high" and share >= 1.0):
            return None
        if self.curve == "fader":
            return max(self.low, self.high + 40.0 * math.log10(share)) if share > 0.0 else self.low
        if self.curve == "ratio":
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return round(value) if self.whole else round(value, 6)

    def share(self, value: float | None) -> float | None:
        """Where a number lies, 0 to 1; beyond the ends it is at the end."""
        if value is None:
            return {"low": 0.0, "high": 1.0}.get(self.open_end)
        if self.curve == "fader":
            share = 10.0 ** ((value - self.high) / 40.0) if value > self.low else 0.0
        elif self.curve == "ratio":
            share = math.log(max(value, 1e-9) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))


RANGES: dict[str, Range] = {
    "set_blend": Range("blend"),
    "set_style_weight": Range("style_weight", 0.0, MOST_WEIGHT),
    "set_glide": Range("glide", 0.0, 16.0),
    "set_guidance": Range("guidance", 1.0, 6.0),
    "set_steps": Range("steps", 1, 16, whole=True),
    "set_seed": Range("seed", 0, 127, whole=True),
    "set_density": Range("density"),
    "set_brightness": Range("brightness"),
    "set_loudness": Range("loudness_db", -40.0, -6.0),
    "set_pitch_bend": Range("pitch_bend", -2.0, 2.0),
    "set_recall": Range("recall"),
    "set_tempo": Range("bpm", 60.0, 200.0),
    "set_gain": Range("gain_db", SILENT_DB, 0.0, "fader"),
    "set_low_pass": Range("low_pass", 20.0, 20000.0, "ratio", open_end="high"),
    "set_high_pass": Range("high_pass", 20.0, 20000.0, "ratio", open_end="low"),
    "set_input_gain": Range("input_gain_db", SILENT_DB, 12.0, "fader"),
    "set_dry": Range("dry"),
    "set_wet": Range("wet"),
    "set_feedback": Range("feedback", 0.0, 0.95),
    "set_transform": Range("transform"),
    "set_delay": Range("delay_beats", 0.25, 32.0, "ratio"),
    "set_future_visibility": Range("future_visibility", -8.0, 8.0),
    "set_buffer": Range("buffer_ms", 20.0, 500.0, "ratio"),
}
SWITCHES: dict[str, str] = {  # kind -> field of the snapshot that says whether it is on
    "mute": "muted",
    "sustain": "sustain",
    "set_drums": "drums",
    "set_bass_mute": "bass_mute",
    "set_bass_and_drums_only": "bass_and_drums_only",
    "set_governor": "governor_on",
    "set_clock_out": "clock_out",
    "set_freeze": "freeze",
    "start_recording": "recording",
    "play": "transport",
}
CHOICES: dict[str, tuple[str, tuple[Any, ...]]] = {  # kind -> field of the snapshot, options
    "set_blend_mode": ("blend_mode", BLEND_MODES),
    "set_seed_mode": ("seed_mode", SEED_MODES),
    "set_notes_mode": ("notes_mode", NOTES_MODES),
    "set_quantise": ("quantise", BOUNDARIES),
    "set_clock_source": ("clock_source", CLOCK_SOURCES),
    "set_jam_mode": ("jam_mode", JAM_MODES),
    "set_key": ("key", (None, *((tonic, mode) for mode in KEY_MODES for tonic in range(12)))),
}
TRIGGERS = (
    "panic", "fade_out", "pause", "stop", "tap", "reset_context", "all_notes_off", "undo_change",
    "redo_change", "cancel_quantised", "stop_recording", "undo_bars", "prime_from_bars",
    "recall_scene", "recall_scene_number", "store_scene", "set_section",
)  # fmt: skip
NUMBERED = {"undo_bars", "prime_from_bars", "recall_scene_number"}
NAMED = {"recall_scene", "store_scene", "set_section"}


@dataclass(frozen=True)
class Target:
    """One control; made by `target_of`."""

    name: str
    shape: Shape
    kind: str
    argument: str = ""

    @property
    def detents(self) -> int:
        """Steps of an endless encoder from one end to the other."""
        if self.shape == "choice":
            return len(CHOICES[self.kind][1]) - 1
        return 1 if self.shape in ("switch", "trigger") else 100

    def message(self, share: float, get: Get) -> Message | None:
        """The message that moves the control to a share; None where there is nothing to move.

        A trigger acts whatever the share.
        """
        if self.kind == "set_prompts":
            return _with_weight(get("prompts") or (), int(self.argument) - 1, share * MOST_WEIGHT)
        if self.kind == "set_pad":
            x, y = get("pad") or (0.5, 0.5)
            return SetPad((share, y) if self.argument == "x" else (x, share))
        if self.shape == "range":
            return _build(self.kind, RANGES[self.kind].value(share))
        if self.shape == "choice":
            options = CHOICES[self.kind][1]
            return _build(self.kind, options[round(share * (len(options) - 1))])
        if self.shape == "switch":
            return self._switched(share >= 0.5)
        return self._triggered()

    def _switched(self, on: bool) -> Message:
        if self.kind == "set_freeze":
            return SetFreeze(float(self.argument or 1) if on else None)
        if self.kind == "start_recording":
            return StartRecording() if on else StopRecording()
        if self.kind == "play":
            return Play() if on else Pause()
        return _build(self.kind, on)

    def _triggered(self) -> Message:
        if self.kind in NUMBERED:
            return _build(self.kind, int(self.argument or 1))
        return _build(self.kind, self.argument) if self.kind in NAMED else MESSAGES[self.kind]()

    def share(self, get: Get) -> float | None:
        """Where the control stands, 0 to 1; None where it stands nowhere, as a trigger."""
        if self.kind == "set_prompts":
            prompts, index = get("prompts") or (), int(self.argument) - 1
            return min(1.0, prompts[index][1] / MOST_WEIGHT) if index < len(prompts) else None
        if self.kind == "set_pad":
            pad = get("pad")
            return None if pad is None else float(pad["xy".index(self.argument)])
        if self.shape == "range":
            limits = RANGES[self.kind]
            return limits.share(get(limits.field))
        if self.shape == "choice":
            field, options = CHOICES[self.kind]
            value = get(field)
            place = options.index(value) if value in options else 0
            return place / (len(options) - 1)
        if self.shape == "switch":
            value = get(SWITCHES[self.kind])
            return float(value == "playing" if self.kind == "play" else bool(value))
        return None


def target_of(name: str) -> Target:
    """The target of a name.

    Raises:
        InputError: there is no such control, or what it acts on is missing or senseless.
    """
    kind, _, argument = name.partition(":")
    if kind == "set_prompts":
        _need(name, argument.isdecimal() and 1 <= int(argument) <= 32, "a prompt, 1 to 32")
        return Target(name, "range", kind, argument)
    if kind == "set_pad":
        _need(name, argument in ("x", "y"), "x or y")
        return Target(name, "range", kind, argument)
    if kind in NUMBERED | {"set_freeze"}:
        _need(name, not argument or (argument.isdecimal() and len(argument) < 6), "a number")
    elif kind in NAMED:
        _need(name, bool(argument.strip()), "a name")
    elif argument:
        raise InputError(f"the control {kind!r} acts on nothing else: {argument!r} has no meaning")
    shapes: dict[Shape, Any] = {
        "range": RANGES, "switch": SWITCHES, "choice": CHOICES, "trigger": TRIGGERS,
    }  # fmt: skip
    for shape, known in shapes.items():
        if kind in known:
            target = Target(name, shape, kind, argument)
            target.message(1.0, lambda _: None)  # an argument out of its range is told now
            return target
    raise InputError(f"no control {kind!r} for a knob; there are {', '.join(target_kinds())}")


def target_kinds() -> tuple[str, ...]:
    """Kinds of all targets, in the order of the tables above."""
    return ("set_prompts", "set_pad", *RANGES, *SWITCHES, *CHOICES, *TRIGGERS)


def fields_set(message: Message) -> dict[str, Any]:
    """What a message changes in a snapshot, as far as targets look there.

    >>> from lmdm.live.messages import SetGuidance
    >>> fields_set(SetGuidance(2.0))
    {'guidance': 2.0}
    """
    if isinstance(message, (StartRecording, StopRecording)):
        return {"recording": "new" if isinstance(message, StartRecording) else ""}
    if isinstance(message, (Play, Pause)):
        return {"transport": "playing" if isinstance(message, Play) else "paused"}
    if isinstance(message, (Panic, AllNotesOff)):
        return {"sustain": False, **({"muted": True} if isinstance(message, Panic) else {})}
    field = _FIELD_OF.get(type(message))
    return {} if field is None else {field: getattr(message, fields(message)[0].name)}


_FIELD_OF = {
    MESSAGES[kind]: field
    for kind, field in (
        ("set_prompts", "prompts"),
        ("set_pad", "pad"),
        *SWITCHES.items(),
        *((kind, each.field) for kind, each in RANGES.items()),
        *((kind, field) for kind, (field, _) in CHOICES.items()),
    )
}


def _need(name: str, true: bool, what: str) -> None:
    if not true:
        raise InputError(f"the control {name!r} needs {what} after a colon")


def _build(kind: str, value: Any) -> Message:
    message_type = MESSAGES[kind]
    return message_type(**{fields(message_type)[0].name: value})


def _with_weight(
    prompts: tuple[tuple[str, float], ...], index: int, weight: float
) -> Message | None:
    if index >= len(prompts):
        return None
    changed = list(prompts)
    changed[index] = (changed[index][0], round(weight, 4))
    return SetPrompts(tuple(changed))
