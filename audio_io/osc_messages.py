"""Control messages and snapshots as OSC: an address for each kind, an argument for each field.

    /lmdm/set_guidance 2.5
    /lmdm/note_on 60 100
    /lmdm/set_prompts "felt piano" 0.7 "choir" 0.3
    /lmdm/set_drums none
    /lmdm/quantised bar '{"kind": "set_guidance", "scale": 3}'
    /lmdm/state/bpm 120.0

OSC programs are loose with numbers: 1.0 is taken for a whole number or a switch where one is
needed, and "none", or OSC's own nil, for None.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from lmdm.errors import InputError
from lmdm.live.messages import MESSAGES, Message, Snapshot, from_dict, kind_of

ROOT = "/lmdm/"
STATE = ROOT + "state/"
MOST_ARGUMENTS = 200
_MOST_TRIED = 500


def message_of(address: str, arguments: Sequence[Any]) -> Message:
    """The control message of an OSC message.

    Raises:
        InputError: no such address, or arguments that do not fit.
    """
    kind = address.removeprefix(ROOT)
    message_type = MESSAGES.get(kind)
    if not address.startswith(ROOT) or message_type is None:
        raise InputError(f"OSC: no control at {address[:80]!r}; addresses are {ROOT}KIND")
    if len(arguments) > MOST_ARGUMENTS:
        raise InputError(f"OSC: {address}: more than {MOST_ARGUMENTS} arguments")
    names = [each.name for each in fields(message_type)]
    first: InputError | None = None
    for values in _readings(list(arguments), len(names)):
        try:
            return from_dict({"kind": kind, **dict(zip(names, values, strict=False))})
        except InputError as problem:
            first = first or problem
    raise InputError(f"OSC: {first or f'{address} takes {len(names)} arguments, not so many'}")


def _readings(arguments: list[Any], count: int) -> Iterator[tuple[Any, ...]]:
    """What the arguments may mean for `count` fields, likeliest first."""
    wholes: list[list[Any]] = [arguments] if len(arguments) <= count else []
    if count == 1 and not any(isinstance(each, list) for each in arguments):
        wholes.append([list(arguments)])
        if len(arguments) % 2 == 0:
            wholes.append([[list(pair) for pair in _pairs(arguments)]])
    for whole in wholes:
        tried = itertools.product(*(_meanings(value) for value in whole))
        yield from itertools.islice(tried, _MOST_TRIED)


def _meanings(value: Any) -> list[Any]:
    """The value itself, and what else a loose program may have meant by it."""
    meanings = [value]
    if isinstance(value, float) and value.is_integer():
        meanings.append(int(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value in (0, 1):
        meanings.append(bool(value))
    if isinstance(value, str):
        if value.casefold() == "none":
            meanings.insert(0, None)
        elif value.startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):
                meanings.insert(0, json.loads(value))
    if isinstance(value, list):
        meanings.append([int(e) if isinstance(e, float) and e.is_integer() else e for e in value])
    return meanings


def arguments_of(message: Message) -> tuple[str, list[Any]]:
    """The OSC address and arguments of a message; `message_of` reads them back."""
    values = [getattr(message, each.name) for each in fields(message)]
    return ROOT + kind_of(type(message)), [_argument(value) for value in values]


def _argument(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, (bool, int, float, str)):
        return value
    from lmdm.live.messages.message import plain

    return json.dumps(plain(value), allow_nan=False)


def state_of(snapshot: Snapshot) -> dict[str, list[Any]]:
    """Address -> arguments of everything in a snapshot, nested values under addresses of theirs."""
    found: dict[str, list[Any]] = {}
    for name, value in snapshot.to_dict().items():
        _flatten(STATE + name, value, found)
    return found


def _flatten(address: str, value: Any, found: dict[str, list[Any]]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(f"{address}/{key}", inner, found)
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for index, inner in enumerate(value):
            _flatten(f"{address}/{index}", inner, found)
    elif isinstance(value, list):
        flat = [each for entry in value for each in (entry if isinstance(entry, list) else [entry])]
        found[address] = ["none" if each is None else each for each in flat]
    else:
        found[address] = ["none" if value is None else value]


def _pairs(values: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(values[::2], values[1::2], strict=True)
