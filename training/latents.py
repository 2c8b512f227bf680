"""Encoded pieces in memory, and random training examples cut from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.chord import chroma_frames
from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.notes import NoteFrames
from training.encode import FRAME_RATE

Array = NDArray[np.float32]


class Examples(NamedTuple):
    """A training batch."""

    latents: Tensor  # [B, C, T]
    local: Tensor  # [B, L, T]
    text: Tensor  # [B, 1, D], zeros where dropped


@dataclass(frozen=True)
class LatentPiece:
    """One piece: latents [C, T] with labels in fractional frames (see `encode.encode_piece`)."""

    latents: NDArray[np.float16]
    notes: Array
    beats: Array
    chords: Array
    loudness: Array
    captions: Array  # [n, D] embeddings of its captions
    drum_stems: tuple[int, ...]
    meta: dict[str, Any] = field(repr=False)

    @classmethod
    def load(cls, path: Path, embed: Callable[[str], Array]) -> LatentPiece:
        """Read one file that `encode` wrote; `embed` maps a caption to [1, D]."""
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads(file.metadata()["piece"])
        captions = np.concatenate([embed(caption) for caption in meta["captions"]])
        drums = tuple(i for i, stem in enumerate(meta["stems"]) if stem["is_drum"])
        return cls(captions=captions, drum_stems=drums, meta=meta, **arrays)

    def controls(
        self, start: int, frames: int, generator: np.random.Generator | None
    ) -> dict[str, Any]:
        """Values of every control over some frames.

        With a generator, the notes given are sometimes only those of some stems: then the model
        learns to add the rest, as it must when a musician plays one line.
        """
        drum_note = np.isin(self.notes[:, 4], self.drum_stems)
        pitched = self.notes[~drum_note]
        if generator is not None and generator.random() < 0.35:
            stems = np.unique(pitched[:, 4])
            kept = stems[generator.random(len(stems)) < 0.5]
            pitched = pitched[np.isin(pitched[:, 4], kept)]
        hits = self.notes[drum_note, 0]
        centres = start + np.arange(frames) + 0.5
        # Drums are on from one second before a hit to one second after.
        nearest = np.searchsorted(hits_sorted := np.sort(hits), centres)
        padded = np.concatenate([[-1e9], hits_sorted, [1e9]])
        distance = np.minimum(centres - padded[nearest], padded[nearest + 1] - centres)
        return {
            "notes": NoteFrames.from_notes(pitched, start, frames),
            "beat": BeatFrames.from_beats(self.beats, start, frames, FRAME_RATE),
            "chord": chroma_frames(self.chords, start, frames),
            "loudness": self.loudness[start : start + frames],
            "drums": (distance < FRAME_RATE).astype(np.float32),
        }


class LatentPieces:
    """All encoded pieces of one split."""

    def __init__(
        self,
        folder: Path,
        split: str,
        conditioning: LocalConditioning,
        embed: Callable[[str], Array],
    ) -> None:
        self.conditioning = conditioning
        pieces = [LatentPiece.load(path, embed) for path in sorted(folder.glob("*.safetensors"))]
        self.pieces = [piece for piece in pieces if piece.meta["split"] == split]
        self.hours = sum(p.latents.shape[1] for p in self.pieces) / FRAME_RATE / 3600

    def batch(
        self,
        generator: np.random.Generator,
        count: int,
        frames: int,
        null_dropout: float,
        text_dropout: float,
    ) -> Examples:
        """Random crops. `null_dropout` of them have no condition at all (for guidance)."""
        lengths = np.array([piece.latents.shape[1] for piece in self.pieces], dtype=np.float64)
        rows: list[tuple[Array, Array, Array]] = []
        for index in generator.choice(len(lengths), size=count, p=lengths / lengths.sum()):
            piece = self.pieces[index]
            start = int(generator.integers(0, max(1, piece.latents.shape[1] - frames + 1)))
            latents = piece.latents[:, start : start + frames].astype(np.float32)
            values = self.conditioning.drop(piece.controls(start, frames, generator), generator)
            text = piece.captions[generator.integers(len(piece.captions))][None]
            null = generator.random() < null_dropout
            local = self.conditioning.features({} if null else values, frames)
            if null or generator.random() < text_dropout:
                text = np.zeros_like(text)
            rows.append((latents, local, text))
        return Examples(*(torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)))
