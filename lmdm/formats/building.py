"""From configuration to network: checked values, nothing allocated that no file fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import torch

from lmdm.errors import InputError

Config = TypeVar("Config")


def config_of(cls: type[Config], values: Mapping[str, Any], place: str) -> Config:
    """A config dataclass from JSON values whose types are those of its defaults.

    Raises:
        InputError: a key is unknown, or a value has the wrong type or an impossible size.
    """
    defaults = {each.name: each.default for each in fields(cls)}  # type: ignore[arg-type]
    for key, value in values.items():
        default = defaults.get(key, MISSING)
        if default is MISSING or default is None:
            continue  # an unknown key is refused by from_dict
        _refuse_other_type(key, value, default, place)
    try:
        return cls.from_dict(dict(values))  # type: ignore[attr-defined]
    except ArithmeticError:
        raise InputError(f"{place}: a size is 0") from None
    except (ValueError, TypeError) as problem:
        raise InputError(f"{place}: {problem}") from None


def _refuse_other_type(key: str, value: Any, default: Any, place: str) -> None:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or any(type(each) is not int for each in value):
            raise InputError(f"{place}: {key} is {value!r}, which is no list of whole numbers")
        return
    if key == "qk_norm" and isinstance(value, bool):
        return
    numeric = key == "feedforward_multiplier" or isinstance(default, float)
    alike = (int, float) if numeric else type(default)
    if not isinstance(value, alike) or isinstance(value, bool) != isinstance(default, bool):
        raise InputError(f"{place}: {key} is {value!r}, which is no {type(default).__name__}")
    if isinstance(value, int) and value < 0:
        raise InputError(f"{place}: {key} is {value}; it cannot be below 0")


def built(cls: Callable[[Any], Any], config: Any, place: str, on_paper: bool = False) -> Any:
    """The network, built without touching torch's global random state.

    on_paper: on the meta device, for weights that will take the place of its tensors.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta" if on_paper else "cpu"):
            return cls(config)
    except (RuntimeError, ValueError, ZeroDivisionError, IndexError) as problem:
        reason = str(problem).splitlines()[0]
        raise InputError(f"{place} does not describe a network: {reason}") from None


def device_of(device: str | torch.device) -> torch.device:
    """The device of that name.

    Raises:
        InputError: there is none here.
    """
    try:
        where = torch.device(device)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used: {reason}") from None
    return where
