"""What a control message is, and its JSON form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar

from lmdm.errors import InputError

Lane = Literal["instant", "block", "scene"]
LANES: tuple[Lane, ...] = ("instant", "block", "scene")


@dataclass(frozen=True)
class Message:
    """Base of every control message; `kind` is the class name in snake case.

    Attributes:
        lane: `instant` acts in the audio path; `block` acts on the next sound the engine has not
            committed; `scene` waits for a musical boundary.
        of: names of fields that say *which* thing a `Set...` message sets, such as the MIDI channel
            whose role it is.
        engines_own: whether only the engine makes it, of what it heard, for a take's log; no hand
            sends it.
    """

    lane: ClassVar[Lane] = "block"
    engines_own: ClassVar[bool] = False
    of: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for each in fields(self):
            try:
                value = each.metadata["parse"](getattr(self, each.name))
            except InputError as problem:
                raise InputError(f"{kind_of(type(self))}: {each.name}: {problem}") from None
            object.__setattr__(self, each.name, value)

    @property
    def control(self) -> tuple[object, ...] | None:
        """What it gives another value, of which only the newest counts; None: each message counts.

        >>> from lmdm.live.messages import NoteOn, SetChannelRole, SetGuidance
        >>> SetGuidance(2.0).control == SetGuidance(1.0).control, NoteOn(60).control
        (True, None)
        >>> SetChannelRole(1, "off").control == SetChannelRole(2, "off").control
        False
        """
        if not type(self).__name__.startswith("Set"):
            return None
        return type(self), *(getattr(self, name) for name in self.of)

    def supersedes(self, earlier: Message) -> bool:
        """Whether an earlier message at the same place means nothing once this one is there.

        >>> from lmdm.live.messages import NoteOn, SetGuidance
        >>> SetGuidance(2.0).supersedes(SetGuidance(1.0)), NoteOn(60).supersedes(NoteOn(60))
        (True, False)
        """
        return self.control is not None and self.control == earlier.control


def kind_of(message_type: type) -> str:
    """`NoteOn` to `note_on`."""
    return _snake_case(message_type.__name__)


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def from_a_hand(message: Message) -> Message:
    """The message itself.

    Raises:
        InputError: it is one, or holds one, that only the engine makes; or it lets something wait
            for a boundary that is not the engine's to do.
    """
    inner = getattr(message, "change", None)
    if isinstance(inner, Message):
        from_a_hand(inner)
        if inner.lane != "block":
            raise InputError(f"{kind_of(type(inner))} cannot wait: only what the model hears can")
    if message.engines_own:
        raise InputError(f"{kind_of(type(message))} is the engine's own: nobody else sends it")
    return message


def in_words(message: Message) -> str:
    """What a message says, in a few words: its values.

    >>> from lmdm.live.messages import NoteOn, SetPrompts
    >>> in_words(NoteOn(60)), in_words(SetPrompts((("choir", 1.0),)))
    ('60 100', 'choir 1')
    """
    if getattr(message, "scene", ""):
        return str(message.scene)  # type: ignore[attr-defined]
    words = " ".join(_words(getattr(message, each.name)) for each in fields(message))
    return words if len(words) <= 60 else words[:59] + "…"


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(_words, value))
    if isinstance(value, Mapping):
        return str(value.get("scene", ", ".join(value)))
    return "–" if value is None else str(value)


@cache
def kinds() -> Mapping[str, type[Message]]:
    """Kind -> class of every message there is; for when all their modules are imported."""
    return {kind_of(each): each for each in Message.__subclasses__()}


def to_dict(message: Message) -> dict[str, object]:
    """The JSON form of a message: its fields and `kind`."""
    values: dict[str, object] = {"kind": kind_of(type(message))}
    for each in fields(message):
        values[each.name] = plain(getattr(message, each.name))
    return values


def from_dict(values: Mapping[str, object]) -> Message:
    """The message of a JSON form.

    Raises:
        InputError: an unknown kind or field, a missing field, or a value outside its range.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"a control message is an object with a kind, not {values!r}")
    known = kinds()
    kind = values.get("kind")
    message_type = known.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise InputError(f"unknown control message {kind!r}; known are {', '.join(known)}")
    return built(message_type, {k: v for k, v in values.items() if k != "kind"}, str(kind))


def nested(value: object) -> Message:
    """Parser of a field that holds a message, given as one or in its JSON form."""
    if isinstance(value, Message):
        return value
    if isinstance(value, Mapping):
        return from_dict(value)
    raise InputError(f"a control message is needed, not {value!r}")


Built = TypeVar("Built")


def built(target: type[Built], values: Mapping[str, Any], what: str) -> Built:
    """`target(**values)`; InputError by name where a field is unknown or missing."""
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
        if not missing:
            raise
        raise InputError(f"{what} lacks the field {missing[0]!r}") from None


def plain(value: object) -> object:
    """Tuples as lists, messages and records as objects: what JSON can hold."""
    if isinstance(value, Message):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
