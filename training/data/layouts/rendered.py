"""Pieces that `training.recipes` rendered: NAME/mix.flac, labels.safetensors, piece.json.

Some are divided: NAME/input.flac and rest.flac.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmdm.errors import InputError
from training.data.track import Division, Stem, Track

NAME = "rendered"


def matches(root: Path) -> bool:
    """A folder of folders with piece.json."""
    return any(root.glob("*/piece.json"))


def tracks(root: Path, licence: str, skipped: dict[str, str]) -> list[Track]:
    """One track a piece; each names its own licence."""
    found = []
    for path in sorted(root.glob("*/piece.json")):
        try:
            found.append(_track(root, path.parent, licence))
        except InputError as problem:
            skipped[path.parent.name] = str(problem)
    return found


def _track(root: Path, folder: Path, licence: str) -> Track:
    try:
        piece = json.loads((folder / "piece.json").read_text(encoding="utf-8"))
        stems = tuple(
            Stem(each["name"], None, bool(each["is_drum"]), each["family"], each["program"])
            for each in piece["stems"]
        )
        return Track(
            name=folder.relative_to(root).as_posix(),
            audio=folder / "mix.flac",
            layout=NAME,
            split=piece["split"],
            licence=piece.get("licence") or licence,
            captions=tuple(piece["captions"]),
            stems=stems,
            labels=folder / "labels.safetensors",
            division=_division(folder, piece.get("division")),
            facts={"style": piece["style"], "key": str(piece["key"]), "bpm": str(piece["bpm"])},
        )
    except (ValueError, KeyError, TypeError, OSError) as problem:
        raise InputError(f"{folder / 'piece.json'} describes no piece: {problem!r}") from None


def _division(folder: Path, described: dict[str, Any] | None) -> Division | None:
    if described is None:
        return None
    return Division(
        played=folder / "input.flac",
        rest=folder / "rest.flac",
        played_stems=tuple(described["input_stems"]),
        captions=tuple(described["captions"]),
    )
