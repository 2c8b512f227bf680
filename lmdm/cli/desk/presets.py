"""Presets: files of scenes, the musician's own and those that come with the program."""

from __future__ import annotations

import re
from pathlib import Path

from lmdm.errors import InputError
from lmdm.live.messages import Preset
from lmdm.live.scenes import SceneBank

FACTORY = Path(__file__).parent / "presets"
SUFFIX = ".toml"


class Presets:
    """The presets of a folder, beside those of the program. An own one hides its namesake."""

    def __init__(self, folder: Path, factory: Path = FACTORY) -> None:
        self._folder = folder
        self._factory = factory

    def all(self) -> tuple[Preset, ...]:
        """Every preset that can be read, by name."""
        found = {}
        for folder, own in ((self._factory, False), (self._folder, True)):
            for file in sorted(folder.glob(f"*{SUFFIX}")):
                try:
                    scenes = SceneBank.read(file).names
                    words = _words(file)
                except (InputError, OSError, UnicodeDecodeError):
                    continue  # a damaged file is no preset
                found[file.stem] = Preset(file.stem, scenes, words, own)
        return tuple(found[name] for name in sorted(found, key=str.lower))

    def file(self, name: str) -> Path:
        """The file of a preset. Raises InputError if there is none of that name."""
        for folder in (self._folder, self._factory):
            file = folder / f"{_safe(name)}{SUFFIX}"
            if file.exists():
                return file
        raise InputError(f"there is no preset {name!r}")

    def new_file(self, name: str) -> Path:
        """Where a preset of that name is to be written."""
        return self._folder / f"{_safe(name)}{SUFFIX}"

    def delete(self, name: str) -> None:
        """Forgets an own preset. Raises InputError if it is none."""
        file = self.new_file(name)
        if not file.exists():
            raise InputError(f"the preset {name!r} is not one of your own")
        file.unlink()


def _safe(name: str) -> str:
    """A file name that no system refuses. Raises InputError if nothing is left of it."""
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "-", name).strip(" .")[:80]
    if not safe:
        raise InputError(f"{name!r} cannot be the name of a preset")
    return safe


def _words(file: Path) -> str:
    """The prompts of a preset's scenes, each once, to search in."""
    found = re.findall(r'\[\s*"((?:[^"\\]|\\.)*)"\s*,\s*[\d.]+\s*\]', file.read_text("utf-8"))
    return ", ".join(dict.fromkeys(found))
