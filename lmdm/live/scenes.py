"""Scenes: settings under names, in order, kept in a TOML file.

[[scene]]
name = "verse"
prompts = [["felt piano", 1.0]]
guidance = 2.0
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import Message, Quantised, SetControls, StoreScene

MOST_SCENES = 512


class SceneBank:
    """The scenes of a performance.

    Threads: none; the owner locks.
    """

    def __init__(self, scenes: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """`scenes`: name to settings, as `Controls.scene` gives them or a file has them."""
        self._scenes = {
            StoreScene(name).name: _whole(settings, f"scene {name!r}")
            for name, settings in (scenes or {}).items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """In the order they were stored."""
        return tuple(self._scenes)

    def store(self, name: str, controls: Controls) -> None:
        """Keeps controls under a name. Raises InputError when there are too many scenes."""
        if name not in self._scenes and len(self._scenes) >= MOST_SCENES:
            raise InputError(f"there are {MOST_SCENES} scenes already; delete one first")
        self._scenes[name] = controls.scene()

    def delete(self, name: str) -> None:
        """Forgets a scene. Raises InputError if there is none of that name."""
        self._check(name)
        del self._scenes[name]

    def recalled(self, name: str, boundary: str) -> Message:
        """The message that recalls a scene. Raises InputError if there is none of that name."""
        self._check(name)
        change = SetControls(self._scenes[name], name)
        return change if boundary == "now" else Quantised(boundary, change)

    def name_of(self, number: int) -> str:
        """The scene in a place of the list, from 0. Raises InputError if there is none."""
        if number >= len(self._scenes):
            raise InputError(f"there is no scene number {number + 1}; there are {len(self.names)}")
        return self.names[number]

    def _check(self, name: str) -> None:
        if name not in self._scenes:
            known = ", ".join(self._scenes) or "none"
            raise InputError(f"there is no scene {name!r}; the scenes are: {known}")

    def write(self, path: Path) -> None:
        """Writes all scenes, beside and renamed. Raises InputError if that cannot be."""
        document = tomlkit.document()
        tables = tomlkit.aot()
        for name, settings in self._scenes.items():
            table = tomlkit.table()
            table.add("name", name)
            for key, value in settings.items():
                if value is not None:
                    table.add(key, value)
            tables.append(table)
        document.add("scene", tables)
        write_text(path, tomlkit.dumps(document))

    @classmethod
    def read(cls, path: Path) -> SceneBank:
        """The scenes of a file.

        Raises:
            InputError: it cannot be read, is not TOML, or holds something that is no scene.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as problem:
            raise InputError(f"the scenes {path} cannot be read: {problem.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise InputError(f"the scenes {path} are not TOML: {problem}") from None
        unknown = [name for name in values if name != "scene"]
        tables = values.get("scene", [])
        if unknown or not isinstance(tables, list):
            said = unknown[0] if unknown else "scene"
            raise InputError(f"{path}: {said!r} is no [[scene]] table")
        scenes: dict[str, dict[str, Any]] = {}
        for number, table in enumerate(tables, start=1):
            if not isinstance(table, dict) or not isinstance(table.get("name"), str):
                raise InputError(f"{path}: scene {number} lacks its name")
            settings = dict(table)
            scenes[settings.pop("name")] = settings
        try:
            return cls(scenes)
        except InputError as problem:
            raise InputError(f"{path}: {problem}") from None


def _whole(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    return Controls.from_dict(settings, source=source).scene()


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all. Raises InputError if that cannot be."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {problem.strerror}") from None
