"""Configuration as data: JSON that maps to frozen dataclasses, unknown keys refused by name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lmdm.errors import InputError
from lmdm.weights import write_beside

Config = TypeVar("Config")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises InputError if there is none."""
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{path} cannot be read as JSON: {problem}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no JSON object")
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes an object beside `path` and renames it."""
    document = json.dumps(values, indent=2) + "\n"
    write_beside(path, lambda part: part.write_text(document))


def remove_parts(folder: Path) -> None:
    """Removes what a killed process had half written beside its files (see `write_beside`)."""
    for part in folder.rglob("*.part"):
        part.unlink(missing_ok=True)


def begin(path: Path, plan: Mapping[str, Any], what: str = "a run") -> None:
    """Writes what is to be done in a folder, or checks that it was begun with the same plan.

    what: the sentence's name for what the folder holds.

    Raises:
        InputError: it was begun with another one; names the first difference.
    """
    document = json.loads(json.dumps(plan))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)
        return
    key, was, now = _difference(read_json(path), document)
    if key:
        raise InputError(
            f"{path.parent} holds {what} whose {key} was {was!r}, not {now!r}; give the same, or "
            "another folder"
        )


def _difference(
    before: Mapping[str, Any], after: Mapping[str, Any], place: str = ""
) -> tuple[str, Any, Any]:
    """The dotted name of the first value that differs, and both; "" where none does."""
    for key in [*after, *before]:
        was, now = before.get(key), after.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found = _difference(was, now, f"{place}{key}.")
            if found[0]:
                return found
        elif was != now:
            return f"{place}{key}", was, now
    return "", None, None


def from_dict(kind: type[Config], values: Mapping[str, Any], place: str) -> Config:
    """A frozen dataclass from plain values; lists become tuples.

    Raises:
        InputError: a key is unknown or missing, or a value is of the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f"{place} has unknown key {unknown[0]!r}; known: {', '.join(fields)}")
    try:
        return kind(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values.items()
            }
        )
    except (TypeError, ValueError) as problem:  # an InputError of the dataclass's own, too
        raise InputError(f"{place}: {problem}") from None


def check_whole(config: Any, most: Mapping[str, int], least: int = 1) -> None:
    """Before anything is allocated: raises InputError unless the named fields are whole numbers
    from `least` to what each may be at most.
    """
    for name, limit in most.items():
        value = getattr(config, name)
        if type(value) is not int or not least <= value <= limit:
            raise InputError(f"{name} is {value!r}; it must be a whole number, {least} to {limit}")
