"""Fingerprints of training music, to find the passage that what is played comes nearest to.

A window of latents is averaged over short stretches, so that a shift by a frame or two matters
little, each channel in units of its own spread; of that its principal components are kept, of unit
length. The similarity of two windows is the cosine of their fingerprints: 1 is the same passage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.errors import InputError

WINDOW_FRAMES = 48  # 2.2 s of the starter
STRETCH_FRAMES = 8  # frames that are averaged
HOP_FRAMES = 12  # between fingerprints of a piece
COMPONENTS = 36  # with that hop a training set of twelve hours takes 2.7 MB
SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Nearest:
    """The training passage nearest to a window. similarity: cosine, -1 to 1."""

    similarity: float
    piece: str
    frame: int  # of the piece, where the passage begins


@dataclass(frozen=True)
class Passages:
    """Fingerprints of a corpus.

    prints [N, D] float32 of unit length, piece after piece, one each HOP_FRAMES; counts [P] int64,
    how many are of each piece. mean, spread [C] of the latents; axes [C * window / stretch, D],
    centre.
    """

    prints: Tensor
    counts: Tensor
    mean: Tensor
    spread: Tensor
    axes: Tensor
    centre: Tensor
    pieces: tuple[str, ...]

    @classmethod
    def of(cls, pieces: Sequence[tuple[str, Tensor]], seed: int = 0) -> Passages:
        """From (name, latents [C, T]) of every piece.

        Raises:
            InputError: no piece is as long as a window.
        """
        long = [(name, latents.float()) for name, latents in pieces
                if latents.shape[1] >= WINDOW_FRAMES]  # fmt: skip
        if not long:
            raise InputError(f"no piece is {WINDOW_FRAMES} latent frames long; give longer ones")
        everything = torch.cat([latents for _, latents in long], dim=1)
        mean = everything.mean(dim=1)
        spread = everything.std(dim=1).clamp_min(SMALLEST_SPREAD)
        windows = [_stretched(_scaled(latents, mean, spread)) for _, latents in long]
        rows = torch.cat(windows)
        generator = torch.Generator().manual_seed(seed)
        some = rows[torch.randperm(len(rows), generator=generator)[: 50 * rows.shape[1]]]
        centre = some.mean(dim=0)
        _, axes = torch.linalg.eigh((some - centre).T @ (some - centre) / len(some))
        axes = axes.flip(1)[:, :COMPONENTS].contiguous()
        return cls(
            _unit((rows - centre) @ axes),
            torch.tensor([len(each) for each in windows]),
            mean,
            spread,
            axes,
            centre,
            tuple(name for name, _ in long),
        )

    def fingerprint(self, latents: Tensor) -> Tensor:
        """[D] of one window [C, WINDOW_FRAMES]."""
        scaled = _scaled(latents.float(), self.mean, self.spread)
        return _unit((_stretched(scaled) - self.centre) @ self.axes)[0]

    def nearest(self, latents: Tensor) -> Nearest:
        """The training passage nearest to a window [C, WINDOW_FRAMES]."""
        similarity, index = (self.prints @ self.fingerprint(latents)).max(dim=0)
        ends = self.counts.cumsum(dim=0)
        owner = int(torch.searchsorted(ends, index, right=True))
        first = int(ends[owner] - self.counts[owner])
        return Nearest(float(similarity), self.pieces[owner], (int(index) - first) * HOP_FRAMES)

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of it; fingerprints as 8-bit numbers."""
        return {
            "passages.prints": (self.prints * 127).round().to(torch.int8),
            "passages.counts": self.counts,
            "passages.mean": self.mean,
            "passages.spread": self.spread,
            "passages.axes": self.axes,
            "passages.centre": self.centre,
        }

    def names(self) -> str:
        """The pieces' names as JSON, for a file's metadata."""
        return json.dumps(self.pieces, ensure_ascii=False)

    @classmethod
    def read(cls, tensors: dict[str, Tensor], names: str) -> Passages:
        """From `tensors()` and `names()`. Raises KeyError or ValueError if they are not such."""
        held = {name: tensors[f"passages.{name}"] for name in cls._tensor_names()}
        pieces = json.loads(names)
        counts = held["counts"] = held["counts"].long()
        negative = bool((counts < 0).any())
        if negative or len(counts) != len(pieces) or int(counts.sum()) != len(held["prints"]):
            raise ValueError("the fingerprints do not fit each other")
        if held["prints"].shape[1:] != held["axes"].shape[1:] or not len(held["prints"]):
            raise ValueError("the fingerprints do not fit their axes")
        held["prints"] = _unit(held["prints"].float())
        return cls(**held, pieces=tuple(map(str, pieces)))

    @staticmethod
    def _tensor_names() -> Iterable[str]:
        return "prints", "counts", "mean", "spread", "axes", "centre"


def _scaled(latents: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    return (latents - mean[:, None]) / spread[:, None]


def _stretched(latents: Tensor) -> Tensor:
    """Every window of latents [C, T] at the hop, its stretches averaged: [N, C * stretches]."""
    windows = latents.unfold(1, WINDOW_FRAMES, HOP_FRAMES)  # [C, N, window]
    stretches = windows.unflatten(2, (-1, STRETCH_FRAMES)).mean(dim=3)
    return stretches.permute(1, 0, 2).flatten(1)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-9)
