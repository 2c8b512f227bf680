"""Training batches: random crops of pieces with their conditions, some of them dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmdm.conditioning.local import LocalConditioning
from training.config import check_range
from training.data.pieces import Piece, Pieces

Array = NDArray[np.float32]

ACCOMPANYING = 0.7  # share of a divided piece's rows that are its rest, to go with its input
VISIBILITY_BLOCKS = (-3, 1)  # lowest and highest future visibility of an input, drawn for each row


class Examples(NamedTuple):
    """A training batch. Local conditions and text are zeros where there are none."""

    latents: Tensor  # [B, C, T]
    local: Tensor  # [B, L, T]
    text: Tensor  # [B, N, D]
    global_condition: Tensor | None = None  # [B, G], of models that have one

    def to(self, device: torch.device) -> Examples:
        """The same on a device."""
        condition = self.global_condition
        return Examples(
            self.latents.to(device),
            self.local.to(device),
            self.text.to(device),
            None if condition is None else condition.to(device),
        )

    def beginning(self, frames: int) -> Examples:
        """The first `frames` frames only."""
        return self._replace(latents=self.latents[..., :frames], local=self.local[..., :frames])

    def conditioned_as(self, other: Examples) -> Examples:
        """These latents under other conditions."""
        return self._replace(local=other.local, text=other.text)


def joined(parts: Sequence[Examples]) -> Examples:
    """Several batches of the same shapes as one."""
    conditions = [part.global_condition for part in parts if part.global_condition is not None]
    return Examples(
        torch.cat([part.latents for part in parts]),
        torch.cat([part.local for part in parts]),
        torch.cat([part.text for part in parts]),
        torch.cat(conditions) if conditions else None,
    )


@dataclass(frozen=True)
class DropoutConfig:
    """Shares of rows that lose conditions, so that guidance and open controls are learnt.

    Text and every control group are dropped independently; `null` drops all of them at once.
    controls scales each control's own rate (`lmdm.conditioning`).
    """

    null: float = 0.1
    text: float = 0.1
    controls: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, 0, 1, ("null", "text"), "dropout.")
        check_range(self, 0, 2, ("controls",), "dropout.")


NO_DROPOUT = DropoutConfig(0.0, 0.0, 0.0)


class ExampleSource:
    """Cuts the rows of each step out of pieces."""

    def __init__(
        self,
        pieces: Pieces,
        conditioning: LocalConditioning | None,
        embed: Callable[[str], Array] | None,
        text_dim: int,
        frames: int,
        seed: int,
        dropout: DropoutConfig = NO_DROPOUT,
        global_condition: Tensor | None = None,
        block: int = 4,
    ) -> None:
        """embed: caption -> tokens [N, D]; None for a model without text.

        global_condition: [G], the same for all rows. block: frames of the stream's blocks.
        """
        self.pieces, self.conditioning, self.embed = pieces, conditioning, embed
        self.text_dim, self.frames, self.seed, self.dropout = text_dim, frames, seed, dropout
        self.global_condition, self.block = global_condition, block
        self._accompanies = conditioning is not None and "accompaniment" in conditioning.names
        self._embedded: dict[str, Array] = {}

    def batch(self, step: int, rows: Sequence[int], batch_size: int) -> Examples:
        """The given rows of a step's batch, on the CPU."""
        cut = [self._row(step, row, batch_size) for row in rows]
        tokens = max(len(text) for _, _, text in cut)
        texts = [np.pad(text, ((0, tokens - len(text)), (0, 0))) for _, _, text in cut]
        return Examples(
            torch.from_numpy(np.stack([latents for latents, _, _ in cut])),
            torch.from_numpy(np.stack([local for _, local, _ in cut])),
            torch.from_numpy(np.stack(texts)),
            None if self.global_condition is None else self.global_condition.expand(len(rows), -1),
        )

    def _row(self, step: int, row: int, batch_size: int) -> tuple[Array, Array, Array]:
        piece = self.pieces.piece(self.seed, step, row, batch_size)
        generator = np.random.default_rng([self.seed, step, row, 4])
        if self._accompanies and piece.is_divided and generator.random() < ACCOMPANYING:
            piece = piece.rest()
        start = int(generator.integers(0, piece.frames - self.frames + 1))
        latents = piece.latents[:, start : start + self.frames].astype(np.float32)
        caption = str(generator.choice(piece.facts["captions"] or [""]))
        given = self._controls(piece, start, generator)
        null = generator.random() < self.dropout.null
        no_text = generator.random() < self.dropout.text
        text = self._text("" if null or no_text else caption)
        return latents, self._local({} if null else given), text

    def _controls(self, piece: Piece, start: int, generator: np.random.Generator) -> dict[str, Any]:
        if self.conditioning is None:
            return {}
        partial = generator if self.dropout.controls else None
        visibility = 0
        if "accompaniment" in piece.arrays:
            low, high = VISIBILITY_BLOCKS
            visibility = int(generator.integers(low * self.block, high * self.block + 1))
        values = piece.controls(start, self.frames, partial, visibility, self.block)
        known = {name: value for name, value in values.items() if name in self.conditioning.names}
        if self.dropout.controls == 0.0:
            return known
        kept = self.conditioning.drop(known, generator)
        if self.dropout.controls < 1.0:  # some of the dropped ones stay after all
            spared = generator.random(len(known)) >= self.dropout.controls
            kept |= {name: known[name] for name, spare in zip(known, spared, strict=True) if spare}
        return kept

    def _local(self, values: dict[str, Any]) -> Array:
        if self.conditioning is None:
            return np.zeros((0, self.frames), np.float32)
        return self.conditioning.features(values, self.frames)

    def _text(self, caption: str) -> Array:
        """Tokens [N, D] of a caption, kept; zeros for no text."""
        if self.embed is None or not caption:
            return np.zeros((1, self.text_dim), np.float32)
        if caption not in self._embedded:
            self._embedded[caption] = np.asarray(self.embed(caption), np.float32)
        return self._embedded[caption]
