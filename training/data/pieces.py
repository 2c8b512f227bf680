"""Encoded pieces as training reads them: in memory, or streamed shard by shard.

Which piece row r of step s sees follows from (seed, s, r) alone, in both cases, so that a resumed
run sees what an unbroken one would.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.chord import chroma_frames
from lmdm.conditioning.density import density_frames
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from training.data.shards import Arrays, Entry, Manifest, read_manifest, read_shard

PARTIAL_NOTES = 0.35  # share of examples that are told the notes of some stems only
GROUP_SHARDS = 4  # shards in memory at once while streaming; their pieces are mixed


@dataclass(frozen=True)
class Piece:
    """Latents [C, T] with labels in fractional frames (see `training.data.labels`)."""

    latents: NDArray[np.float16]
    arrays: Arrays  # labels and stems, by name
    facts: dict[str, Any] = field(repr=False)
    frame_rate: float = 44100 / 2048

    @classmethod
    def of(cls, facts: dict[str, Any], arrays: Arrays, frame_rate: float) -> Piece:
        """From what a shard holds."""
        rest = {name: array for name, array in arrays.items() if name != "latents"}
        return cls(arrays["latents"], rest, facts, frame_rate)

    @property
    def frames(self) -> int:
        """Length in latent frames."""
        return int(self.latents.shape[1])

    def controls(
        self,
        start: int,
        frames: int,
        generator: np.random.Generator | None = None,
        visibility: int = 0,
        block: int = 4,
    ) -> dict[str, Any]:
        """Values of the controls that its labels give, over some frames.

        With a generator, the notes given are sometimes only those of some stems: then the model
        learns to add the rest, as it must when a musician plays one line. visibility, block: how
        an accompaniment is given (`lmdm.conditioning.accompaniment`).
        """
        values: dict[str, Any] = {}
        arrays = self.arrays
        if "notes" in arrays:
            drum_note = np.isin(arrays["notes"][:, 4], self.facts["drum_stems"])
            pitched = arrays["notes"][~drum_note]
            if generator is not None and generator.random() < PARTIAL_NOTES:
                stems = np.unique(pitched[:, 4])
                kept = stems[generator.random(len(stems)) < 0.5]
                pitched = pitched[np.isin(pitched[:, 4], kept)]
            values["notes"] = NoteFrames.from_notes(pitched, start, frames)
            onsets = arrays["notes"][:, 0]
            values["density"] = density_frames(onsets, start, frames, self.frame_rate)
            values["drums"] = self._near(arrays["notes"][drum_note], start, frames)
            if "bass_stems" in self.facts:
                bass_note = np.isin(arrays["notes"][:, 4], self.facts["bass_stems"])
                values["bass"] = self._near(arrays["notes"][bass_note], start, frames)
        if "beats" in arrays:
            beats = BeatFrames.from_beats(arrays["beats"], start, frames, self.frame_rate)
            values["beat"] = beats
        if "chords" in arrays:
            values["chord"] = chroma_frames(arrays["chords"], start, frames)
        for name in ("loudness", "brightness"):
            if name in arrays:
                values[name] = arrays[name][start : start + frames]
        if "accompaniment" in arrays:
            values["accompaniment"] = AccompanimentFrames.shifted(
                arrays["accompaniment"], start, frames, visibility, block
            )
        return values

    def _near(self, notes: NDArray[Any], start: int, frames: int) -> NDArray[np.float32]:
        """1 from one second before a note to one second after its end, else 0."""
        centres = start + np.arange(frames)[:, None] + 0.5
        around = notes[(notes[:, 0] < start + 2 * frames) & (notes[:, 1] > start - frames)]
        distance = np.maximum(around[:, 0] - centres, centres - around[:, 1])
        return (distance < self.frame_rate).any(axis=1).astype(np.float32)

    @property
    def is_divided(self) -> bool:
        """Whether what a musician plays and the rest of the band are known apart."""
        return "rest" in self.arrays

    def rest(self) -> Piece:
        """A divided piece's rest of the band, its labels its own, with the input beside it."""
        arrays = {name: a for name, a in self.arrays.items() if not name.startswith("rest.")}
        for name in ("loudness", "brightness"):
            arrays[name] = self.arrays[f"rest.{name}"]
        division = self.facts["division"]
        if "notes" in arrays:
            played = np.isin(arrays["notes"][:, 4], division["input_stems"])
            arrays["notes"] = arrays["notes"][~played]
        latents, arrays["accompaniment"] = arrays.pop("rest"), arrays.pop("input")
        facts = {**self.facts, "captions": division["captions"]}
        return Piece(latents, arrays, facts, self.frame_rate)


class Pieces(Protocol):
    """Gives every row of every step its piece."""

    hours: float

    def piece(self, seed: int, step: int, row: int, batch_size: int) -> Piece:
        """The piece of one row."""
        ...


class PiecesInMemory:
    """All pieces at once; a row's piece is drawn by length, divided ones `divided_weight` times."""

    def __init__(self, pieces: Sequence[Piece], divided_weight: float = 1.0) -> None:
        self.pieces = list(pieces)
        lengths = np.array([piece.frames for piece in self.pieces], np.float64)
        weights = [divided_weight if piece.is_divided else 1.0 for piece in self.pieces]
        self._shares = np.cumsum(lengths * weights / (lengths @ weights))
        self.hours = float(lengths.sum()) / self.pieces[0].frame_rate / 3600

    def piece(self, seed: int, step: int, row: int, batch_size: int) -> Piece:  # noqa: ARG002
        """See `Pieces`."""
        drawn = np.random.default_rng([seed, step, row, 1]).random()
        index = int(np.searchsorted(self._shares, drawn, side="right"))
        return self.pieces[min(index, len(self.pieces) - 1)]


class StreamedPieces:
    """A few shards in memory at a time; each epoch has its own order of shards and pieces.

    A piece is seen once for each `crop` frames that it lasts, so long pieces count for more; a
    divided one `divided_weight` times as often.
    """

    def __init__(
        self, manifest: Manifest, entries: Sequence[Entry], crop: int, divided_weight: float = 1.0
    ) -> None:
        self._manifest, self._crop, self._divided_weight = manifest, crop, divided_weight
        by_shard: dict[str, list[Entry]] = {}
        for entry in entries:
            by_shard.setdefault(entry.shard, []).append(entry)
        self._by_shard = by_shard
        self._names = sorted(by_shard)
        self._visits = {
            name: sum(self._times(entry) for entry in by_shard[name]) for name in self._names
        }
        self._total = sum(self._visits.values())
        self._loaded: OrderedDict[str, dict[str, Piece]] = OrderedDict()
        self.hours = sum(entry.frames for entry in entries) / manifest.frame_rate / 3600

    def _times(self, entry: Entry) -> int:
        weight = self._divided_weight if "division" in entry.facts else 1.0
        return max(1, round(weight * entry.frames / self._crop))

    def piece(self, seed: int, step: int, row: int, batch_size: int) -> Piece:
        """See `Pieces`."""
        epoch, place = divmod(step * batch_size + row, self._total)
        order = np.random.default_rng([seed, epoch, 2]).permutation(len(self._names))
        names = [self._names[index] for index in order]
        for first in range(0, len(names), GROUP_SHARDS):
            group = names[first : first + GROUP_SHARDS]
            size = sum(self._visits[name] for name in group)
            if place < size:
                break
            place -= size
        visits = [
            entry
            for name in group
            for entry in self._by_shard[name]
            for _ in range(self._times(entry))
        ]
        mixed = np.random.default_rng([seed, epoch, first, 3]).permutation(len(visits))
        entry = visits[mixed[place]]
        return self._shard(entry.shard)[entry.key]

    def _shard(self, name: str) -> dict[str, Piece]:
        if name not in self._loaded:
            wanted = {entry.key for entry in self._by_shard[name]}
            rate = self._manifest.frame_rate
            self._loaded[name] = {
                facts["key"]: Piece.of(facts, arrays, rate)
                for facts, arrays in read_shard(self._manifest.location, name)
                if facts["key"] in wanted
            }
            while len(self._loaded) > 2 * GROUP_SHARDS:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(name)
        return self._loaded[name]


def open_pieces(
    location: str | Path,
    split: str,
    frames: int,
    streamed: bool = False,
    divided_weight: float = 1.0,
) -> PiecesInMemory | StreamedPieces | None:
    """The pieces of a split that last `frames` or more; None if the split has none at all.

    Raises:
        InputError: no encoded music there, or every piece of the split is shorter.
    """
    manifest = read_manifest(location)
    entries = manifest.split(split)
    if not entries:
        return None
    long = [entry for entry in entries if entry.frames >= frames]
    if not long:
        longest = max(entry.frames for entry in entries)
        raise InputError(
            f"{location}: no {split} piece is {frames} frames long; the longest has {longest}: "
            "encode longer music, or train on fewer frames"
        )
    if streamed:
        return StreamedPieces(manifest, long, frames, divided_weight)
    return PiecesInMemory(load_pieces(manifest, long), divided_weight)


def load_pieces(manifest: Manifest, entries: Sequence[Entry]) -> list[Piece]:
    """Some pieces of a manifest, in order of key."""
    wanted = {entry.key for entry in entries}
    shards = sorted({entry.shard for entry in entries})
    found = [
        Piece.of(facts, arrays, manifest.frame_rate)
        for shard in tqdm(shards, desc="read", unit="shard", disable=len(shards) < 8)
        for facts, arrays in read_shard(manifest.location, shard)
        if facts["key"] in wanted
    ]
    return sorted(found, key=lambda piece: str(piece.facts["key"]))
