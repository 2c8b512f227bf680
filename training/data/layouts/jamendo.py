"""MTG-Jamendo as published: data/*.tsv beside audio/NN/ID.mp3 (or audio-low/NN/ID.low.mp3).

TSV rows have TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION and then any number of TAGS, such as
`genre---ambient`, `instrument---piano`, `mood/theme---calm`. Used are data/autotagging.tsv, or the
raw_30s*.tsv files where that one is missing; the splits of data/splits/split-0, where there are
some; raw.meta.tsv for names; audio_licenses.txt for licences.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.data.track import Track, split_of

NAME = "jamendo"
TABLES = ("autotagging.tsv", "raw_30s_cleantags.tsv", "raw_30s.tsv", "raw.tsv")
LICENCE = "Creative Commons, per track; see audio_licenses.txt"
HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
EXCLUDED = "exclude.txt"  # track ids that are never used, such as Song Describer's


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    track: str
    artist: str
    album: str
    path: str  # NN/ID.mp3
    tags: tuple[str, ...]


def table_of(root: Path) -> Path | None:
    """The metadata table, in data/ or beside the audio."""
    for folder in (root / "data", root):
        for name in TABLES:
            if (folder / name).is_file():
                return folder / name
    toys = [*sorted((root / "data").glob("autotagging*.tsv")), *sorted(root.glob("autot*.tsv"))]
    return toys[0] if toys else None


def matches(root: Path) -> bool:
    """A table whose header is MTG-Jamendo's."""
    table = table_of(root)
    if table is None:
        return False
    with table.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\r\n").split("\t")[:5] == HEADER[:5]


def rows(table: Path, skipped: dict[str, str] | None = None) -> Iterator[Row]:
    """The rows of a table; those with too few columns go to `skipped`."""
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(reader, None)
        for number, columns in enumerate(reader, start=2):
            if not columns:
                continue
            if len(columns) < 5:
                if skipped is not None:
                    skipped[f"{table.name}:{number}"] = f"{len(columns)} columns, not 5 or more"
                continue
            track, artist, album, path, _ = columns[:5]
            yield Row(track, artist, album, path, tuple(tag for tag in columns[5:] if tag))


def tracks(root: Path, licence: str, skipped: dict[str, str]) -> list[Track]:
    """One track a row whose audio is there; rows without audio (other tars) are passed over."""
    table = table_of(root)
    assert table is not None
    splits, licences, names = _splits(table.parent), _licences(root), _names(table.parent)
    excluded = _excluded(root, table.parent)
    found = []
    for row in rows(table, skipped):
        audio = _audio(root, row.path)
        if audio is None or row.track in excluded:
            continue
        found.append(
            Track(
                name=row.path.removesuffix(".mp3"),
                audio=audio,
                layout=NAME,
                # Without published splits, an artist is on one side only.
                split=splits.get(row.track) or split_of(row.artist),
                licence=licences.get(row.path) or (licence if licence != "unknown" else LICENCE),
                captions=captions(row.tags),
                facts={
                    "track": row.track,
                    "artist": row.artist,
                    "album": row.album,
                    "tags": " ".join(row.tags),
                    **names.get(row.track, {}),
                },
            )
        )
    return found


def captions(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Ways to say what the tags say: all of them, and as a sentence."""
    kinds: dict[str, list[str]] = {"genre": [], "instrument": [], "mood/theme": []}
    for tag in tags:
        kind, _, word = tag.partition("---")
        kinds.setdefault(kind, []).append(word or kind)
    moods, genres, instruments = kinds["mood/theme"], kinds["genre"], kinds["instrument"]
    everything = ", ".join(word for words in kinds.values() for word in words)
    sentence = " ".join(part for part in (", ".join(moods), ", ".join(genres), "music") if part)
    if instruments:
        sentence += f" with {', '.join(instruments)}"
    return tuple(dict.fromkeys((sentence, everything or "music")))


def _audio(root: Path, path: str) -> Path | None:
    low = path.removesuffix(".mp3") + ".low.mp3"
    for candidate in (
        root / "audio" / path,
        root / "audio-low" / low,
        root / path,
        root / low,
        root / "audio-low" / path,
    ):
        if candidate.is_file():
            return candidate
    return None


def _splits(data: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for split in ("train", "validation", "test"):
        for table in sorted((data / "splits" / "split-0").glob(f"autotagging-{split}.tsv")):
            found |= {row.track: split for row in rows(table)}
    return found


def _names(data: Path) -> dict[str, dict[str, str]]:
    path = data / "raw.meta.tsv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {
            row["TRACK_ID"]: {
                "title": row.get("TRACK_NAME") or "",
                "artist_name": row.get("ARTIST_NAME") or "",
            }
            for row in reader
        }


def _licences(root: Path) -> dict[str, str]:
    """PATH -> licence address, from whatever line names both."""
    path = next((p for p in (root / "audio_licenses.txt", root / "data/audio_licenses.txt")
                 if p.is_file()), None)  # fmt: skip
    if path is None:
        return {}
    found, current = {}, ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        track = re.search(r"\b(\d{2}/\d+\.mp3)\b", line)
        current = track[1] if track else current
        address = re.search(r"https?://\S*creativecommons\.org/\S+", line)
        if address and current:
            found[current] = address[0].rstrip(".,)")
    return found


def _excluded(root: Path, data: Path) -> set[str]:
    for path in (root / EXCLUDED, data / EXCLUDED):
        if path.is_file():
            numbers = re.findall(r"\d+", path.read_text(encoding="utf-8"))
            return {f"track_{int(number):07d}" for number in numbers}
    return set()
