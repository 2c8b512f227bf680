"""The state of every block-lane control, as one frozen value.

`Controls` is what a scene file holds, what a take's header holds, and what a session folds control
messages into; it is torch-free, so the supervisor keeps the same state as the engine by folding
the same messages.

    >>> Controls().after(SetGuidance(4.0)).guidance
    4.0
    >>> Controls(prompts=(("felt piano", 1.0), ("choir", 1.0)), blend=0.25).weighted_prompts()
    (('felt piano', 0.75), ('choir', 0.25))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from lmdm.errors import InputError
from lmdm.live.messages import (
    Message,
    SetBlend,
    SetChord,
    SetDrums,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
)

# control field -> the message that sets it, and that message's only field
SETTERS: dict[str, tuple[type[Message], str]] = {
    "prompts": (SetPrompts, "prompts"),
    "blend": (SetBlend, "position"),
    "guidance": (SetGuidance, "scale"),
    "steps": (SetSteps, "steps"),
    "bpm": (SetTempo, "bpm"),
    "drums": (SetDrums, "on"),
    "chord": (SetChord, "pitch_classes"),
    "loudness_db": (SetLoudness, "level_db"),
    "notes_mode": (SetNotesMode, "mode"),
    "seed": (SetSeed, "seed"),
}
_FIELD_OF = {message_type: (name, source) for name, (message_type, source) in SETTERS.items()}


@dataclass(frozen=True)
class Controls:
    """What the musician asks of the model now. Ranges are those of the messages that set them."""

    prompts: tuple[tuple[str, float], ...] = ()  # (text, weight)
    blend: float | None = None  # 0 first prompt .. 1 last; None: by weight
    guidance: float = 1.5  # 1 is none; here the starter is measured best (model card)
    steps: int | None = None  # denoising steps a block; None: the model's own
    bpm: float = 120.0  # beats a minute
    drums: bool | None = None  # None: the model decides
    chord: tuple[int, ...] | None = None  # pitch classes; None: the model decides
    loudness_db: float | None = None  # dB RMS; None: the model decides
    notes_mode: str = "auto"  # auto, follow, free
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (message_type, source) in SETTERS.items():
            try:
                message = message_type(**{source: getattr(self, name)})
            except InputError as problem:
                raise InputError(f"{name}: {str(problem).split(': ', 2)[-1]}") from None
            object.__setattr__(self, name, getattr(message, source))

    def after(self, message: Message) -> Controls:
        """The controls after a message; messages that set no control change nothing."""
        if type(message) not in _FIELD_OF:
            return self
        name, source = _FIELD_OF[type(message)]
        return replace(self, **{name: getattr(message, source)})

    def weighted_prompts(self) -> tuple[tuple[str, float], ...]:
        """Prompts of non-zero weight, weights summing to 1; () when there are none.

        With `blend` set, the two prompts around that place in the list share the weight.
        """
        count = len(self.prompts)
        if self.blend is None or count < 2:
            weighted = self.prompts
        else:
            place = self.blend * (count - 1)
            weighted = tuple(
                (text, max(0.0, 1.0 - abs(place - index)))
                for index, (text, _) in enumerate(self.prompts)
            )
        total = sum(weight for _, weight in weighted)
        if total <= 0.0:
            return ()
        return tuple((text, weight / total) for text, weight in weighted if weight > 0.0)

    def to_dict(self) -> dict[str, object]:
        """The JSON and TOML form; controls that are None are left out."""
        values: dict[str, object] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "prompts":
                value = [[text, weight] for text, weight in value]
            if value is not None:
                values[each.name] = list(value) if isinstance(value, tuple) else value
        return values

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
