"""One piece of music on disk, as a data set's layout describes it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "validation", "test")
AUDIO_SUFFIXES = {".flac", ".wav", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".w64", ".caf"}


@dataclass(frozen=True)
class Stem:
    """One part of a mix. program: General MIDI number, where it is known."""

    name: str
    audio: Path | None = None
    is_drum: bool = False
    family: str = ""
    program: int | None = None


@dataclass(frozen=True)
class Division:
    """A mix in two: `played`, what a musician plays, and `rest`, the others.

    played_stems: indices of the track's stems. captions: of the rest.
    """

    played: Path
    rest: Path
    played_stems: tuple[int, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Track:
    """What a layout knows of one piece before it is read.

    name: path below the data set's root, without suffix. labels: a rendered piece's
    labels.safetensors. midi: files whose notes the piece plays, one a stem where `midi_is_stems`,
    in the order of `stems`.
    """

    name: str
    audio: Path
    layout: str
    split: str
    licence: str
    captions: tuple[str, ...] = ()
    stems: tuple[Stem, ...] = ()
    labels: Path | None = None
    midi: tuple[Path, ...] = ()
    midi_is_stems: bool = False
    division: Division | None = None
    facts: dict[str, str] = field(default_factory=dict)  # artist, album, tags: kept as they are

    @property
    def key(self) -> str:
        """A name of letters, digits, - and _ alone, unique in the data set."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return re.sub(r"[^A-Za-z0-9_-]+", "_", self.name)[-80:] + "-" + digest


def split_of(name: str) -> str:
    """train, validation or test (92/4/4 %) by the hash of a name."""
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 100
    return "train" if bucket < 92 else "validation" if bucket < 96 else "test"


def audio_files(root: Path) -> list[Path]:
    """Audio files below a folder in order of path; hidden files and folders are left out."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
