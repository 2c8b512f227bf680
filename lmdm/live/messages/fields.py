"""What a field of a message may hold: parsers that check, normalise, and say what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from lmdm.errors import InputError

Parser = Callable[[object], Any]


def number(low: float, high: float) -> Parser:
    """A finite number from `low` to `high`, as float."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"a number from {low:g} to {high:g} is needed, not {value!r}")
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"{value!r} lies outside {low:g} to {high:g}")
        return float(value)

    return parse


def whole(low: int, high: int) -> Parser:
    """A whole number from `low` to `high`."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"a whole number from {low} to {high} is needed, not {value!r}")
        if not low <= value <= high:
            raise InputError(f"{value} lies outside {low} to {high}")
        return value

    return parse


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InputError(f"true or false is needed, not {value!r}")
    return value


def maybe(parse: Parser) -> Parser:
    """None, or what `parse` takes."""
    return lambda value: None if value is None else parse(value)


def text(limit: int) -> Parser:
    """A text of at most `limit` characters."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise InputError(f"text is needed, not {value!r}")
        if len(value) > limit:
            raise InputError(f"a text of at most {limit} characters is needed, not {len(value)}")
        return value

    return parse


def name(value: object) -> str:
    """A short text in one line that is not blank, spaces around it left out."""
    said = text(80)(value).strip()
    if not said or not said.isprintable():
        raise InputError(f"a name in one line is needed, not {value!r}")
    return str(said)


def choice(options: tuple[str, ...]) -> Parser:
    """One of the given words."""

    def parse(value: object) -> str:
        if value not in options:
            raise InputError(f"one of {', '.join(options)} is needed, not {value!r}")
        return str(value)

    return parse


def sequence(parse: Parser, most: int) -> Parser:
    """A list of at most `most` entries, as tuple."""

    def parse_all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"a list is needed, not {value!r}")
        if len(value) > most:
            raise InputError(f"a list of at most {most} entries is needed, not {len(value)}")
        return tuple(parse(entry) for entry in value)

    return parse_all


def pair(first: Parser, second: Parser) -> Parser:
    """Two values."""

    def parse(value: object) -> tuple[Any, Any]:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise InputError(f"a pair is needed, not {value!r}")
        return first(value[0]), second(value[1])

    return parse


def settings(value: object) -> dict[str, Any]:
    """An object of names and plain values; who folds it checks what they mean."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(f"an object of settings is needed, not {value!r}")
    return dict(value)


PROMPT_TEXT = text(1000)
_PROMPT_WEIGHT = number(0.0, 100.0)


def prompt(value: object) -> tuple[str, float]:
    """A prompt and its weight."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InputError(f"a prompt is a pair of text and weight, not {value!r}")
    return PROMPT_TEXT(value[0]), _PROMPT_WEIGHT(value[1])


def checked(parse: Parser, **keywords: Any) -> Any:
    """A dataclass field whose value is checked and normalised by `parse`."""
    return field(metadata={"parse": parse}, **keywords)
