"""Shards of encoded pieces: WebDataset tars with an index beside each, and one manifest.

    OUT/manifest.json           codec, sizes, list of shards with hashes, totals
    OUT/latents-000000.tar      KEY.safetensors (latents and labels) and KEY.json of each piece
    OUT/latents-000000.json     the KEY.json of the shard as a list
    OUT/skipped.json            source -> why it could not be used

The tars are plain WebDataset: any of its readers streams them, from disk, HTTP or a pipe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarError
from typing import Any

import webdataset
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from webdataset.gopen import gopen

from lmdm.errors import InputError
from lmdm.weights import sha256, write_beside

FORMAT, VERSION = "lmdm-latents", 1
MANIFEST, SKIPPED = "manifest.json", "skipped.json"
SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Entry:
    """One piece of the manifest: where it lies and what is known of it."""

    shard: str  # file name of the tar
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        """Unique in the data set."""
        return str(self.facts["key"])

    @property
    def frames(self) -> int:
        """Length in latent frames."""
        return int(self.facts["frames"])


@dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds."""

    location: str  # folder or address
    facts: dict[str, Any]
    entries: tuple[Entry, ...]

    @property
    def frame_rate(self) -> float:
        """Latent frames a second."""
        return float(self.facts["sample_rate"]) / float(self.facts["frame_samples"])

    def split(self, name: str) -> tuple[Entry, ...]:
        """The pieces of one side of the split."""
        return tuple(each for each in self.entries if each.facts["split"] == name)


def is_address(location: str) -> bool:
    """Whether WebDataset, not the file system, opens it: http(s)://, pipe:, and the like."""
    return "://" in location or location.startswith("pipe:")


def place(location: str, name: str) -> str:
    """Address or path of one file; a pipe has {} where the name belongs."""
    if "{}" in location:
        return location.replace("{}", name)
    return f"{location.rstrip('/')}/{name}" if is_address(location) else str(Path(location) / name)


def read_manifest(location: str | Path) -> Manifest:
    """The manifest of a folder or address, with every shard's index.

    Raises:
        InputError: it is missing, damaged or of another format.
    """
    where = str(location)
    facts = _read_json(where, MANIFEST)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"{place(where, MANIFEST)} is no manifest of `lmdm train encode`")
    if facts.get("version") != VERSION:
        raise InputError(
            f"{place(where, MANIFEST)} is of version {facts.get('version')!r}; this program reads "
            f"version {VERSION}"
        )
    entries: list[Entry] = []
    try:
        for shard in facts["shards"]:
            name = str(shard["file"])
            if not SHARD_NAME.fullmatch(name):  # it may go into a path, an address or a command
                raise InputError(f"{place(where, MANIFEST)} names a shard {name!r}, no plain name")
            index = _read_json(where, str(Path(name).with_suffix(".json")))
            entries += [Entry(name, dict(each)) for each in index]
        by_key = sorted(entries, key=lambda entry: entry.key)
        _ = [entry.frames for entry in by_key], Manifest(where, facts, ()).frame_rate
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as problem:
        raise InputError(
            f"{place(where, MANIFEST)} or an index beside it is damaged ({problem!r}); copy it "
            "again, or encode again"
        ) from None
    return Manifest(where, facts, tuple(by_key))


def _read_json(location: str, name: str) -> Any:
    where = place(location, name)
    try:
        if is_address(location):
            with gopen(where) as stream:
                return json.loads(stream.read())
        return json.loads(Path(where).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{location} holds no encoded music: {name} is missing; make it with "
            "`lmdm train encode`"
        ) from None
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(f"{where} cannot be read: {problem}") from None


def write_shard(folder: Path, name: str, pieces: Sequence[tuple[dict[str, Any], Path]]) -> str:
    """One tar and its index from facts and safetensors files; returns the tar's SHA-256."""

    def write(part: Path) -> None:
        with part.open("wb") as file, webdataset.TarWriter(file, mtime=0.0) as tar:
            for facts, tensors in pieces:
                text = json.dumps(facts, ensure_ascii=False).encode()
                sample = {"safetensors": tensors.read_bytes(), "json": text}
                tar.write({"__key__": facts["key"], **sample})

    write_beside(folder / name, write)
    index = json.dumps([facts for facts, _ in pieces], ensure_ascii=False, indent=1) + "\n"
    write_beside(
        (folder / name).with_suffix(".json"), lambda part: part.write_text(index, encoding="utf-8")
    )
    return sha256(folder / name)


def read_shard(location: str, name: str) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """(facts, arrays) of each piece, streamed.

    Raises:
        InputError: the tar is missing or damaged.
    """
    where = place(location, name)
    try:
        # Which process reads what is decided above: every one may read every shard.
        data = webdataset.WebDataset(
            where, shardshuffle=False, nodesplitter=None, empty_check=False
        )
        for sample in data:
            yield json.loads(sample["json"]), parse_tensors(sample["safetensors"])
    except (OSError, ValueError, KeyError, EOFError, TarError, SafetensorError) as problem:
        raise InputError(
            f"the shard {where} cannot be read ({problem}); copy it again, or delete it with its "
            ".json and encode again"
        ) from None
