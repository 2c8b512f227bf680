"""Configurations: frozen dataclasses filled from TOML files and KEY=VALUE settings.

config = read(FinetuneConfig, Path("finetune.toml"), ["batch_size=8", "dropout.text=0.2"])

Unknown keys are refused by name, and so are values of another type than the field's. A field may
itself be such a dataclass: a table in TOML, a dotted key in a setting.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomlkit

from lmdm.errors import InputError

Config = TypeVar("Config")
MAY_CHANGE = {"may_change": True}  # field metadata: a resumed run may have another value


def read(cls: type[Config], file: Path | None, settings: Sequence[str] = ()) -> Config:
    """Defaults, then the file, then the settings.

    Raises:
        InputError: the file is missing or no TOML, or a key or value is refused.
    """
    values = {} if file is None else read_toml(file)
    for setting in settings:
        merge(values, parse_setting(setting))
    return from_values(cls, values)


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"the config {file} cannot be read: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InputError(f"the config {file} is not TOML: {problem}") from None


def parse_setting(setting: str) -> dict[str, Any]:
    """`a.b=3` -> {"a": {"b": 3}}. A value that is no TOML value is taken as text."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise InputError(f"the setting {setting!r} is not KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


def merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds `more` to `values`, table by table; `more` wins."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value


def from_values(
    cls: type[Config], values: Mapping[str, Any], place: str = "", default: Config | None = None
) -> Config:
    """A config from plain values; what they do not name is as in `default`, or as `cls` has it.

    Raises:
        InputError: names the key that is unknown, or whose value has another type, and the place.
    """
    hints = get_type_hints(cls)
    fields = {each.name: each for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = {}
    for key, value in values.items():
        if key not in fields:
            known = ", ".join(f"{place}{name}" for name in fields)
            raise InputError(f"unknown config key {place + key!r}; the keys are {known}")
        own = _default(fields[key]) if default is None else getattr(default, key)
        given[key] = _typed(hints[key], value, place + key, own)
    return cls(**given) if default is None else dataclasses.replace(default, **given)  # type: ignore[type-var]


def _default(field: dataclasses.Field[Any]) -> Any:
    """What a field holds if nothing is said; None if something must be."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _typed(kind: Any, value: Any, key: str, default: Any = None) -> Any:
    """The value as the field's type has it, or InputError. A table adds to the default one."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise InputError(f"config key {key!r} is a table, but {value!r} was given")
        return from_values(kind, value, f"{key}.", default)
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _typed(next(each for each in options if each is not type(None)), value, key)
    if origin is Literal:
        if value not in options:
            known = ", ".join(map(str, options))
            raise InputError(f"config key {key!r} is {value!r}; it can be {known}")
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_typed(options[0], item, key) for item in items)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise InputError(f"config key {key!r} is {value!r}, which is no {kind.__name__}")
    return value


def to_values(config: Any) -> dict[str, Any]:
    """Plain nested values without the Nones, which TOML does not know."""
    values: dict[str, Any] = {}
    for each in dataclasses.fields(config):
        value = getattr(config, each.name)
        if dataclasses.is_dataclass(value):
            values[each.name] = to_values(value)
        elif value is not None:
            plain = str(value) if isinstance(value, Path) else value
            values[each.name] = list(plain) if isinstance(plain, tuple) else plain
    return values


def to_toml(config: Any) -> str:
    """The whole config, defaults and all, as TOML."""
    return tomlkit.dumps(to_values(config))


def differences(config: Any, other: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(key, value, other value) of every field that differs and that must not change in a run."""
    for each in dataclasses.fields(config):
        one, two = getattr(config, each.name), getattr(other, each.name)
        if each.metadata.get("may_change") or one == two:
            continue
        if dataclasses.is_dataclass(one):
            yield from differences(one, two, f"{place}{each.name}.")
        else:
            yield place + each.name, one, two


def check_range(
    config: Any, lowest: float, highest: float, names: Sequence[str], place: str = ""
) -> None:
    """Raises InputError for the first of the fields that lies outside [lowest, highest]."""
    for name in names:
        value = getattr(config, name)
        if not lowest <= value <= highest:
            wanted = (
                f"{lowest:g} or more" if highest == float("inf") else f"{lowest:g}..{highest:g}"
            )
            raise InputError(f"config key {place + name!r} is {value}; it must be {wanted}")
