"""Control messages and snapshots as OSC: an address for each kind, an argument for each field.

    /lmdm/set_guidance 2.5
    /lmdm/note_on 60 100
    /lmdm/set_prompts "felt piano" 0.7 "choir" 0.3
    /lmdm/set_drums none
    /lmdm/quantised bar '{"kind": "set_guidance", "scale": 3}'
    /lmdm/state/bpm 120.0

OSC programs are loose with numbers: `lmdm.live.messages.loose` says what is understood. OSC's nil
is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from lmdm.errors import InputError
from lmdm.live.messages import MESSAGES, Message, Snapshot, kind_of
from lmdm.live.messages.loose import loose
from lmdm.live.messages.message import plain

ROOT = "/lmdm/"
STATE = ROOT + "state/"


def message_of(address: str, arguments: Sequence[Any]) -> Message:
    """The control message of an OSC message.

    Raises:
        InputError: no such address, or arguments that do not fit.
    """
    kind = address.removeprefix(ROOT)
    if not address.startswith(ROOT) or kind not in MESSAGES:
        raise InputError(f"OSC: no control at {address[:80]!r}; addresses are {ROOT}KIND")
    try:
        return loose(kind, arguments)
    except InputError as problem:
        raise InputError(f"OSC: {problem}") from None


def names_file(message: Message) -> bool:
    """Whether a message reads or writes a file or folder that it names.

    >>> from lmdm.live.messages import Quantised, SaveScenes, SetGuidance, StartRecording
    >>> names_file(SaveScenes("a.toml")), names_file(StartRecording()), names_file(SetGuidance(2))
    (True, False, False)
    """
    inner = getattr(message, "change", None)
    named = any(getattr(message, name, "") for name in ("file", "folder"))
    return named or (isinstance(inner, Message) and names_file(inner))


def arguments_of(message: Message) -> tuple[str, list[Any]]:
    """The OSC address and arguments of a message; `message_of` reads them back."""
    values = [getattr(message, each.name) for each in fields(message)]
    return ROOT + kind_of(type(message)), [_argument(value) for value in values]


def _argument(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, (bool, int, float, str)):
        return value
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
