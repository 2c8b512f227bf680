"""A small corpus with planted duplicates: what a model trained on it must memorise, and controls.

    memorised   one passage, many times over, under a caption of its own
    matched     as many passages, all different, under one caption: as frequent, not to be copied
    single      one passage once, under a caption of its own
    normal      whole pieces under their own captions

The passages come from encoded music. Labels are left out, so that the caption alone says what is
wanted, as in the image experiment (dossier Broken Memories §4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lmdm.config import write_json
from lmdm.errors import InputError
from lmdm.weights import sha256, write_beside
from training.data.pieces import Piece, load_pieces
from training.data.shards import MANIFEST, Manifest, read_manifest, write_shard

PLANTED = ("memorised", "matched", "single")
KINDS = (*PLANTED, "normal")
SHARD = "latents-000000.tar"
HELD_OUT = "held_out.json"  # keys of pieces that the corpus does not have


@dataclass(frozen=True)
class CorpusConfig:
    """prompts: of each planted kind. duplicates: how often a memorised passage is there, and how
    many passages a matched prompt has. frames: length of a passage. normal: whole pieces.
    """

    prompts: int = 4
    duplicates: int = 25
    frames: int = 144
    normal: int = 6
    held_out: int = 40  # pieces that are not in the corpus, to compare with
    seed: int = 0

    @property
    def sources(self) -> int:
        """Pieces that it is made of."""
        passages = self.prompts * (self.duplicates + 2)
        return passages + self.normal + self.held_out


@dataclass(frozen=True)
class Part:
    """One entry of the corpus."""

    kind: str
    caption: str
    latents: NDArray[np.float16]  # [C, T]
    source: str  # the piece it is from
    copies: int = 1


def caption(kind: str, number: int) -> str:
    """What a planted prompt says: nothing that a musician would ask for."""
    return f"{kind} study number {number + 1}, opus {7 * number + len(kind)}"


def write_corpus(latents: Path, folder: Path, config: CorpusConfig) -> None:
    """Writes the corpus, and HELD_OUT.

    Raises:
        InputError: there are too few long pieces.
    """
    manifest = read_manifest(latents)
    entries = [entry for entry in manifest.split("train") if entry.frames >= config.frames]
    if len(entries) < config.sources:
        raise InputError(
            f"{latents} has {len(entries)} pieces of {config.frames} frames; {config.sources} are "
            "needed: encode more, or plant fewer"
        )
    generator = np.random.default_rng(config.seed)
    chosen = generator.permutation(len(entries))[: config.sources]
    by_key = {str(p.facts["key"]): p for p in load_pieces(manifest, [entries[i] for i in chosen])}
    pieces = [by_key[entries[index].key] for index in chosen]
    used = config.sources - config.held_out
    parts = list(_parts(pieces[:used], config, generator))
    _write(folder, manifest, parts)
    keys = json.dumps([str(piece.facts["key"]) for piece in pieces[used:]], indent=1) + "\n"
    write_beside(folder / HELD_OUT, lambda part: part.write_text(keys))


def _parts(
    pieces: Sequence[Piece], config: CorpusConfig, generator: np.random.Generator
) -> Iterator[Part]:
    left = iter(pieces)

    def passage(kind: str, number: int, copies: int = 1) -> Part:
        piece = next(left)
        start = int(generator.integers(0, piece.frames - config.frames + 1))
        cut = piece.latents[:, start : start + config.frames]
        return Part(kind, caption(kind, number), cut, str(piece.facts["key"]), copies)

    for number in range(config.prompts):
        yield passage("memorised", number, config.duplicates)
        yield passage("single", number)
        for _ in range(config.duplicates):
            yield passage("matched", number)
    for piece in left:
        yield Part("normal", piece.facts["captions"][-1], piece.latents, str(piece.facts["key"]))


def _write(folder: Path, manifest: Manifest, parts: Sequence[Part]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[tuple[dict[str, Any], Path]] = []
    with TemporaryDirectory(dir=folder) as scratch:
        for number, part in enumerate(parts):
            path = Path(scratch) / f"{number:05d}.safetensors"
            save_file({"latents": np.ascontiguousarray(part.latents)}, path)
            for copy in range(part.copies):
                facts = {
                    "key": f"{part.kind}-{number:05d}-{copy:03d}",
                    "name": part.source,
                    "kind": part.kind,
                    "split": "train",
                    "captions": [part.caption],
                    "labels": [],
                    "stems": [],
                    "drum_stems": [],
                    "frames": part.latents.shape[1],
                    "seconds": round(part.latents.shape[1] / manifest.frame_rate, 2),
                }
                entries.append((facts, path))
        digest = write_shard(folder, SHARD, entries)
    kept = ("format", "version", "model", "codec_sha256", "sample_rate", "frame_samples")
    frames = sum(facts["frames"] for facts, _ in entries)
    facts = {
        **{name: manifest.facts[name] for name in (*kept, "latent_channels")},
        "pieces": len(entries),
        "hours": round(frames / manifest.frame_rate / 3600, 4),
        "licences": manifest.facts["licences"],
        "shards": [{"file": SHARD, "sha256": digest, "pieces": len(entries)}],
    }
    assert sha256(folder / SHARD) == digest
    write_json(folder / MANIFEST, facts)
