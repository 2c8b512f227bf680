"""Any folder of audio files, with words, notes and licence beside them where there are such.

    song.wav        the music
    song.txt        captions, one a line
    song.json       {"captions": [...], "licence": "...", "split": "train"}, all of it optional
    song.mid        the notes it plays

Without captions a file is called by its name and its folder's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lmdm.errors import InputError
from training.data.track import SPLITS, Track, audio_files, split_of

NAME = "folder"


def matches(root: Path) -> bool:
    """Every folder that holds audio."""
    return bool(audio_files(root))


def tracks(root: Path, licence: str, skipped: dict[str, str]) -> list[Track]:
    """One track a file."""
    found = []
    for path in audio_files(root):
        try:
            found.append(_track(root, path, licence))
        except InputError as problem:
            skipped[path.relative_to(root).as_posix()] = str(problem)
    return found


def _track(root: Path, path: Path, licence: str) -> Track:
    name = path.relative_to(root).as_posix()
    facts = read_sidecar(path.with_suffix(".json"))
    captions = tuple(str(each) for each in facts.get("captions", ()))
    words = path.with_suffix(".txt")
    if not captions and words.is_file():
        captions = tuple(
            line.strip()
            for line in words.read_text(encoding="utf-8", errors="replace").splitlines()
            if line.strip()
        )
    notes = [path.with_suffix(suffix) for suffix in (".mid", ".midi")]
    return Track(
        name=name,
        audio=path,
        layout=NAME,
        # Files of one folder (an album, takes of one song) fall on one side.
        split=facts.get("split") or split_of(path.parent.name if path.parent != root else name),
        licence=facts.get("licence") or facts.get("license") or licence,
        captions=captions or (said(path, root),),
        midi=tuple(each for each in notes if each.is_file())[:1],
    )


def read_sidecar(path: Path) -> dict:
    """The JSON object beside an audio file, or nothing.

    Raises:
        InputError: it is there and is no object, or names a split that is none.
    """
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        raise InputError(f"{path} is not JSON: {problem}") from None
    if not isinstance(facts, dict):
        raise InputError(f"{path} is no JSON object")
    if facts.get("split", "train") not in SPLITS:
        raise InputError(f"{path}: split is {facts['split']!r}; it can be {', '.join(SPLITS)}")
    captions = facts.get("captions", facts.get("caption", []))
    facts["captions"] = [captions] if isinstance(captions, str) else list(captions or ())
    return facts


def said(path: Path, root: Path) -> str:
    """The words in a file's name and its folder's: "ambient/02 - slow_rain.wav" -> those words."""
    folder = path.parent.name if path.parent != root else ""
    words = re.sub(r"[_\-.]+|\b\d+\b", " ", f"{folder} {path.stem}")
    return " ".join(words.split()).lower() or path.stem
