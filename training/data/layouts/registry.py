"""The known layouts, and which of them a folder has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from lmdm.errors import InputError
from training.data.layouts import folder, jamendo, musdb18, rendered, slakh
from training.data.track import Track

# In this order: every one of the others is a folder too.
LAYOUTS: dict[str, ModuleType] = {
    each.NAME: each for each in (rendered, musdb18, jamendo, slakh, folder)
}


def tracks_of(
    root: Path, layout: str = "auto", licence: str = "unknown"
) -> tuple[list[Track], dict[str, str]]:
    """The tracks of a data set in order of name, and name -> why of those that make no sense.

    Raises:
        InputError: no such folder or layout, or nothing is found.
    """
    if not root.is_dir():
        raise InputError(f"there is no folder {root}; give one that holds music")
    if layout != "auto" and layout not in LAYOUTS:
        raise InputError(f"there is no layout {layout!r}; known: auto, {', '.join(LAYOUTS)}")
    chosen = layout
    if layout == "auto":
        chosen = next((name for name, each in LAYOUTS.items() if each.matches(root)), "")
    skipped: dict[str, str] = {}
    found: list[Track] = LAYOUTS[chosen].tracks(root, licence, skipped) if chosen else []
    found.sort(key=lambda track: track.name)
    if not found and not skipped:
        kind = "" if layout == "auto" else f" of the layout {layout}"
        raise InputError(f"{root} holds no music{kind} that can be read; see docs/training.md")
    if chosen == folder.NAME and not any(track.split == "train" for track in found):
        # A handful of files can all fall on the small sides: then there is nothing to hold out.
        found = [replace(track, split="train") for track in found]
    return found, skipped
