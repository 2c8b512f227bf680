"""What the panel remembers between sessions: text size, motion, and whether the tour was seen."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

SMALLEST_TEXT, LARGEST_TEXT = 0.8, 2.0
TEXT_STEP = 0.1


@dataclass(frozen=True)
class Preferences:
    """Values a musician chooses once. `text` is a multiple of the usual size of letters."""

    text: float = 1.0
    reduced_motion: bool = False
    tour_seen: bool = False

    def __post_init__(self) -> None:
        for each in fields(self):
            given, usual = getattr(self, each.name), each.default
            fits = isinstance(given, bool) if isinstance(usual, bool) else _is_number(given)
            if not fits:
                object.__setattr__(self, each.name, usual)
        text = min(max(float(self.text), SMALLEST_TEXT), LARGEST_TEXT)
        object.__setattr__(self, "text", round(text, 2))

    def larger(self, steps: int) -> Preferences:
        """Letters larger by some steps, smaller if negative."""
        return replace(self, text=self.text + steps * TEXT_STEP)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def usual_file() -> Path:
    """Where preferences are kept; `LMDM_CONFIG` names another folder."""
    from platformdirs import user_config_path

    folder = os.environ.get("LMDM_CONFIG")
    return (Path(folder) if folder else user_config_path("lmdm")) / "panel.json"


def load(file: Path) -> Preferences:
    """The preferences in a file; the usual ones for whatever is missing or cannot be read."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Preferences()
    known = {each.name for each in fields(Preferences)}
    values = found if isinstance(found, dict) else {}
    return Preferences(**{name: value for name, value in values.items() if name in known})


def save(preferences: Preferences, file: Path) -> None:
    """Writes the preferences beside and renames. Raises OSError when the disk refuses."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    beside.write_text(json.dumps(asdict(preferences), indent=2) + "\n", encoding="utf-8")
    beside.replace(file)
