"""Slakh2100 and folders like it.

    TrackNNNNN/{mix.flac, metadata.yaml, all_src.mid, stems/S00.flac, MIDI/S00.mid}

Below train/, validation/ and test/, or all in one folder; `omitted` is left out, as its authors
ask. mix and stems may be WAV or FLAC; without metadata.yaml stems are known by their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lmdm.errors import InputError
from training.data.track import SPLITS, Stem, Track, split_of

NAME = "slakh"
LICENCE = "CC-BY-4.0 (Slakh2100)"


def matches(root: Path) -> bool:
    """Track folders that hold stems."""
    return any(True for _ in root.glob("*/stems")) or any(True for _ in root.glob("*/*/stems"))


def tracks(root: Path, licence: str, skipped: dict[str, str]) -> list[Track]:
    """One track a folder with a mix; stems that were not rendered are left out."""
    folders = sorted({p.parent for p in (*root.glob("*/stems"), *root.glob("*/*/stems"))})
    found = []
    for folder in folders:
        half = folder.parent.name if folder.parent != root else ""
        mix = _sound(folder, "mix")
        if mix is None or half == "omitted":
            continue
        split = half if half in SPLITS else split_of(folder.name)
        try:
            found.append(_track(root, folder, mix, split, licence))
        except InputError as problem:
            skipped[folder.relative_to(root).as_posix()] = str(problem)
    return found


def _track(root: Path, folder: Path, mix: Path, split: str, licence: str) -> Track:
    described = _metadata(folder / "metadata.yaml")
    names = sorted(described) or sorted(p.stem for p in (folder / "stems").iterdir())
    stems, midi = [], []
    for name in names:
        facts = described.get(name, {})
        audio = _sound(folder / "stems", name)
        if audio is None:
            continue
        family = str(facts.get("inst_class") or name)
        program = facts.get("program_num")
        is_drum = bool(facts.get("is_drum", "drum" in name.lower()))
        stems.append(
            Stem(name, audio, is_drum, family, program if isinstance(program, int) else None)
        )
        midi.append(folder / "MIDI" / f"{name}.mid")
    whole = folder / "all_src.mid"
    by_stem = bool(midi) and all(path.is_file() for path in midi)
    families = sorted({stem.family.lower() for stem in stems})
    return Track(
        name=folder.relative_to(root).as_posix(),
        audio=mix,
        layout=NAME,
        split=split,
        licence=licence if licence != "unknown" else LICENCE,
        captions=(f"{', '.join(families)}" if families else "a band",),
        stems=tuple(stems),
        midi=tuple(midi) if by_stem else ((whole,) if whole.is_file() else ()),
        midi_is_stems=by_stem,
    )


def _sound(folder: Path, name: str) -> Path | None:
    return next(
        (p for p in (folder / f"{name}{s}" for s in (".flac", ".wav", ".ogg")) if p.is_file()), None
    )


def _metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Stem name -> what metadata.yaml says of it."""
    if not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(name): dict(facts) for name, facts in (values.get("stems") or {}).items()}
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, OSError) as problem:
        raise InputError(f"{path} is not a Slakh metadata.yaml: {problem}") from None
