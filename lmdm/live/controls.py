"""The state of every control that the engine keeps, as one frozen value.

`Controls` is what a scene file holds, what a take's header holds, and what a session folds control
messages into; it is torch-free, so the supervisor keeps the same state as the engine by folding
the same messages.

    >>> Controls().after(SetGuidance(4.0)).guidance
    4.0
    >>> Controls(prompts=(("felt piano", 1.0), ("choir", 1.0)), blend=0.25).weighted_prompts()
    (('felt piano', 0.75), ('choir', 0.25))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live.messages import Message, SetGuidance
from lmdm.live.pad import weights_at

# control field -> the message that sets it, and that message's only field
SETTERS: dict[str, tuple[type[Message], str]] = {
    "prompts": (m.SetPrompts, "prompts"),
    "blend": (m.SetBlend, "position"),
    "pad": (m.SetPad, "position"),
    "blend_mode": (m.SetBlendMode, "mode"),
    "glide": (m.SetGlide, "beats"),
    "negative_prompt": (m.SetNegativePrompt, "text"),
    "style": (m.SetStylePrompts, "prompts"),
    "style_weight": (m.SetStyleWeight, "weight"),
    "guidance": (SetGuidance, "scale"),
    "guidance_parallel": (m.SetGuidanceParallel, "share"),
    "steps": (m.SetSteps, "steps"),
    "bpm": (m.SetTempo, "bpm"),
    "drums": (m.SetDrums, "on"),
    "bass_mute": (m.SetBassMute, "on"),
    "bass_and_drums_only": (m.SetBassAndDrumsOnly, "on"),
    "density": (m.SetDensity, "amount"),
    "brightness": (m.SetBrightness, "amount"),
    "chord": (m.SetChord, "pitch_classes"),
    "key": (m.SetKey, "key"),
    "loudness_db": (m.SetLoudness, "level_db"),
    "notes_mode": (m.SetNotesMode, "mode"),
    "seed": (m.SetSeed, "seed"),
    "seed_mode": (m.SetSeedMode, "mode"),
    "recall": (m.SetRecall, "amount"),
    "section": (m.SetSection, "section"),
    "quantise": (m.SetQuantise, "boundary"),
    "freeze": (m.SetFreeze, "bars"),
    "pitch_bend": (m.SetPitchBend, "semitones"),
    "jam_mode": (m.SetJamMode, "mode"),
    "future_visibility": (m.SetFutureVisibility, "beats"),
    "transform": (m.SetTransform, "amount"),
    "delay_beats": (m.SetDelay, "beats"),
    "feedback": (m.SetFeedback, "amount"),
    "economy": (m.SetEconomy, "level"),
}
_FIELD_OF = {message_type: (name, source) for name, (message_type, source) in SETTERS.items()}

# what a hand does in the moment: no scene keeps it
MOMENTARY = ("seed", "quantise", "freeze", "pitch_bend", "economy")


@dataclass(frozen=True)
class Controls:
    """What the musician asks of the model now. Ranges are those of the messages that set them."""

    prompts: tuple[tuple[str, float], ...] = ()  # (text, weight)
    blend: float | None = None  # 0 first prompt .. 1 last; None: by weight
    pad: tuple[float, float] | None = None  # point on the surface; None: by blend or weight
    blend_mode: str = "linear"  # linear, slerp
    glide: float = 0.0  # beats that a change of prompts takes
    negative_prompt: str = ""  # what guidance leads away from
    style: tuple[tuple[str, float], ...] = ()  # prompts that stand for a style file
    style_weight: float = 1.0
    guidance: float = 2.5  # 1 is none; with less the starter may fade away (model card)
    guidance_parallel: float = 0.2  # share of it that is kept along the sound itself; 1: plain
    steps: int | None = None  # denoising steps a block; None: the model's own
    bpm: float = 120.0  # beats a minute
    drums: bool | None = None  # None: the model decides
    bass_mute: bool = False
    bass_and_drums_only: bool = False
    density: float | None = None  # 0 sparse .. 1 busy; None: the model decides
    brightness: float | None = None  # 0 dark .. 1 bright; None: the model decides
    chord: tuple[int, ...] | None = None  # pitch classes; None: the model decides
    key: tuple[int, str] | None = None  # tonic and mode; None: the model decides
    loudness_db: float | None = None  # dB RMS; None: as music is, while there is any to play
    notes_mode: str = "auto"  # auto, follow, free
    seed: int = 0
    seed_mode: str = "run"  # run, hold, drift
    recall: float = 0.0  # how much long-form memory is heard
    section: str = ""
    quantise: str = "now"  # boundary that prompts and scenes wait for
    freeze: float | None = None  # bars that loop; None: the model plays
    pitch_bend: float = 0.0  # semitones
    jam_mode: str = "off"  # off, context, sketch, delay
    future_visibility: float = 0.0  # beats
    transform: float = 0.7  # how much of the input the model makes anew, in jam mode delay
    delay_beats: float = 4.0
    feedback: float = 0.0
    economy: int = 0  # quality given up to keep in time; see `Governor`

    def __post_init__(self) -> None:
        for name, (message_type, source) in SETTERS.items():
            try:
                message = message_type(**{source: getattr(self, name)})
            except InputError as problem:
                raise InputError(f"{name}: {str(problem).split(': ', 2)[-1]}") from None
            object.__setattr__(self, name, getattr(message, source))

    def after(self, message: Message) -> Controls:
        """The controls after a message; messages that set no control change nothing.

        Raises:
            InputError: a `SetControls` whose settings are not controls.
        """
        if isinstance(message, m.SetControls):
            return Controls.from_dict({**self.to_dict(), **message.settings}, source="scene")
        if isinstance(message, m.SetClock):
            return replace(self, bpm=message.bpm)
        if type(message) not in _FIELD_OF:
            return self
        name, source = _FIELD_OF[type(message)]
        return replace(self, **{name: getattr(message, source)})

    def triad(self) -> tuple[int, ...] | None:
        """The harmony asked for: the chord, or else the key's tonic triad, or None."""
        if self.chord is not None or self.key is None:
            return self.chord
        tonic, mode = self.key
        return tonic, (tonic + (4 if mode == "major" else 3)) % 12, (tonic + 7) % 12

    def weighted_prompts(self, heard: Collection[str] = ()) -> tuple[tuple[str, float], ...]:
        """Prompts of non-zero weight, weights summing to 1; () when there are none.

        On the pad the place decides; else with `blend` the two prompts around that place in the
        list share the weight; else the weights decide. The style's prompts stand beside them, and
        macros that are not among the local controls `heard` are said in words.
        """
        weighted = [*self._placed()]
        if self.style and self.style_weight > 0.0:
            own = sum(weight for _, weight in weighted) or 1.0
            whole = sum(weight for _, weight in self.style)
            share = self.style_weight * own / whole if whole > 0.0 else 0.0
            weighted += [(text, weight * share) for text, weight in self.style]
        for control, less, more, amount in (
            ("brightness", "dark", "bright", self.brightness),
            ("density", "sparse", "busy", self.density),
        ):
            if amount is not None and control not in heard:
                word, share = (more, 2 * amount - 1) if amount >= 0.5 else (less, 1 - 2 * amount)
                weighted = _said(weighted, word, share)
        if self.bass_and_drums_only:
            weighted = _said(weighted, "only bass and drums", 1.0)
        total = sum(weight for _, weight in weighted)
        if total <= 0.0:
            return ()
        return tuple((text, weight / total) for text, weight in weighted if weight > 0.0)

    def _placed(self) -> tuple[tuple[str, float], ...]:
        count = len(self.prompts)
        texts = [text for text, _ in self.prompts]
        if self.pad is not None and count:
            return tuple(zip(texts, weights_at(self.pad, count), strict=True))
        if self.blend is None or count < 2:
            return self.prompts
        place = self.blend * (count - 1)
        return tuple((text, max(0.0, 1.0 - abs(place - index))) for index, text in enumerate(texts))

    def to_dict(self) -> dict[str, Any]:
        """The JSON and TOML form; controls that are None are left out."""
        values: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("prompts", "style"):
                value = [[text, weight] for text, weight in value]
            if value is not None:
                values[each.name] = list(value) if isinstance(value, tuple) else value
        return values

    def scene(self) -> dict[str, Any]:
        """What a scene keeps of them: the JSON form with its None, so that those return as well."""
        values = dict.fromkeys(SETTERS) | self.to_dict()
        return {name: value for name, value in values.items() if name not in MOMENTARY}

    @classmethod
    def from_dict(cls, values: Mapping[str, object], source: str = "controls") -> Controls:
        """The controls of a JSON or TOML form; what is not given has its default.

        Raises:
            InputError: an unknown name or a value outside its range, naming `source`.
        """
        unknown = [name for name in values if name not in SETTERS]
        if unknown:
            known = ", ".join(SETTERS)
            raise InputError(f"{source}: unknown setting {unknown[0]!r}; known are {known}")
        try:
            return cls(**values)  # type: ignore[arg-type]
        except InputError as problem:
            raise InputError(f"{source}: {problem}") from None


def _said(weighted: list[tuple[str, float]], word: str, share: float) -> list[tuple[str, float]]:
    """The prompts, so much of each with a word added; the word alone where there are none."""
    if not weighted:
        return [(word, 1.0)] if share > 0.0 else []
    plain = [(text, weight * (1.0 - share)) for text, weight in weighted]
    return plain + [(f"{text}, {word}", weight * share) for text, weight in weighted]
