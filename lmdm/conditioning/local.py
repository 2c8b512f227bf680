"""The registry of local controls, and the stack of them that one model hears.

>>> conditioning = LocalConditioning(("notes", "beat", "chord", "loudness", "drums"))
>>> conditioning.channels
280
>>> conditioning.features({"drums": True}, frames=4)[conditioning.slices["drums"]].tolist()
[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

import lmdm.conditioning
from lmdm.conditioning.control import Array, Control
from lmdm.errors import InputError


def _registered() -> dict[str, Control[Any]]:
    """Every control of this package: a new file with a new class is all it takes to add one."""
    for module in pkgutil.iter_modules(lmdm.conditioning.__path__):
        if module.name != "local":
            import_module(f"{lmdm.conditioning.__name__}.{module.name}")
    return {each.name: each() for each in Control.__subclasses__()}


CONTROLS: dict[str, Control[Any]] = _registered()


class LocalConditioning:
    """Named controls in a fixed order; their channels follow one another in that order."""

    def __init__(self, names: Iterable[str]) -> None:
        """Raises InputError on an unknown or repeated name."""
        self.names = tuple(names)
        self.slices: dict[str, slice] = {}  # control name -> its channels
        self.channels = 0
        for name in self.names:
            if name not in CONTROLS:
                known = ", ".join(sorted(CONTROLS))
                raise InputError(f"there is no control {name!r}; the controls are {known}")
            if name in self.slices:
                raise InputError(f"control {name!r} is listed twice; list it once")
            self.slices[name] = slice(self.channels, self.channels + CONTROLS[name].channels)
            self.channels += CONTROLS[name].channels

    def features(self, values: Mapping[str, Any], frames: int) -> Array:
        """[channels, frames] float32; a control that is absent from `values`, or None, is zeros.

        Raises:
            InputError: `values` names a control that this model does not hear.
        """
        self._check(values)
        features = np.zeros((self.channels, frames), np.float32)
        for name, value in values.items():
            if value is not None:
                CONTROLS[name].write(value, features[self.slices[name]])
        return features

    def drop(self, values: Mapping[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        """The values of one training example, each left out with its control's dropout rate."""
        self._check(values)
        kept = {name: generator.random() >= CONTROLS[name].dropout for name in self.names}
        return {name: value for name, value in values.items() if kept[name]}

    def _check(self, values: Iterable[str]) -> None:
        for name in values:
            if name not in self.slices:
                heard = ", ".join(self.names) or "none"
                raise InputError(f"this model hears no control {name!r}; it hears: {heard}")
