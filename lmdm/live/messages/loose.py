"""Messages from what a person types or a loose program sends: a kind, and arguments in order.

    >>> from lmdm.live.messages import SetPrompts
    >>> loose("note_on", [60.0])
    NoteOn(pitch=60, velocity=100)
    >>> typed('set_prompts "felt piano" 0.7 choir 0.3')
    SetPrompts(prompts=(('felt piano', 0.7), ('choir', 0.3)))

1.0 is taken for a whole number or a switch where one is needed, "none" for None, text that looks
like JSON for what it says, and a flat list for pairs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from lmdm.errors import InputError
from lmdm.live.messages.message import Message, from_dict, kinds

MOST_ARGUMENTS = 200
_MOST_TRIED = 500
_WORDS = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}


def loose(kind: str, arguments: Sequence[Any]) -> Message:
    """The message of a kind whose fields the arguments are.

    Raises:
        InputError: no such kind, or arguments that do not fit.
    """
    message_type = kinds().get(kind)
    if message_type is None:
        raise InputError(f"there is no control {kind[:80]!r}")
    if len(arguments) > MOST_ARGUMENTS:
        raise InputError(f"{kind}: more than {MOST_ARGUMENTS} arguments")
    names = [each.name for each in fields(message_type)]
    first: InputError | None = None
    for values in _readings(list(arguments), len(names)):
        try:
            return from_dict({"kind": kind, **dict(zip(names, values, strict=False))})
        except InputError as problem:
            first = first or problem
    raise first or InputError(f"{kind} takes {len(names)} arguments, not {len(arguments)}")


def typed(line: str) -> Message:
    """The message of a line: a kind and its arguments, with quotes around spaces.

    Raises:
        InputError: as `loose`, or quotes that do not end.
    """
    try:
        kind, *words = shlex.split(line)
    except ValueError:
        raise InputError(f"{line.strip()[:80]!r} has no control's name, or a quote open") from None
    return loose(kind, [_number_or_text(word) for word in words])


def _number_or_text(word: str) -> Any:
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(word)
    return word


def _readings(arguments: list[Any], count: int) -> Iterator[tuple[Any, ...]]:
    """What the arguments may mean for `count` fields, likeliest first."""
    wholes: list[list[Any]] = [arguments] if len(arguments) <= count else []
    if count == 1 and not any(isinstance(each, list) for each in arguments):
        wholes.append([list(arguments)])
        if len(arguments) % 2 == 0:
            wholes.append([[list(p) for p in zip(arguments[::2], arguments[1::2], strict=True)]])
    for whole in wholes:
        tried = itertools.product(*(_meanings(value) for value in whole))
        yield from itertools.islice(tried, _MOST_TRIED)


def _meanings(value: Any) -> list[Any]:
    """The value itself, and what else may have been meant by it."""
    meanings = [value]
    if isinstance(value, float) and value.is_integer():
        meanings.append(int(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value in (0, 1):
            meanings.append(bool(value))
        meanings.append(str(value))  # a name such as 2
    if isinstance(value, str):
        if value.casefold() == "none":
            meanings.insert(0, None)
        elif value.casefold() in _WORDS:
            meanings.append(_WORDS[value.casefold()])
        elif value.startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):
                meanings.insert(0, json.loads(value))
    if isinstance(value, list):
        meanings.append([int(e) if isinstance(e, float) and e.is_integer() else e for e in value])
    return meanings
