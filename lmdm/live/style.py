"""Style from a sound file, for a model without an audio style encoder.

A model's own music to each of its known prompts is described by mean and spread of every latent
channel; so is the file. The prompts whose music lies nearest stand for it. The description is of
timbre, register, density and loudness together; it knows nothing of melody or form.

The table is a file of the model's folder, measured once: `lmdm models styles MODEL`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmdm.errors import InputError
from lmdm.live.controls import Controls

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

FILE_NAME = "styles.json"
NEAREST = 3  # prompts that stand for a file
SEEDS = (0,)
WARM_UP_SECONDS, MEASURED_SECONDS = 2.0, 6.0
PROMPTS = (
    "electronic dance track", "house", "ambient", "calm ambient soundscape", "church choir",
    "slow emotional ballad", "swinging jazz combo", "string ensemble", "chiptune", "breakbeat",
    "8-bit video game music", "solo piano", "acoustic folk", "acoustic guitar music",
    "mallet percussion", "art song, classical", "string quartet", "synth pop",
)  # fmt: skip


def described(latents: np.ndarray) -> np.ndarray:
    """[2 C]: mean and standard deviation of every channel of latents [C, n]."""
    return np.concatenate([latents.mean(axis=1), latents.std(axis=1)])


@dataclass(frozen=True)
class StyleTable:
    """Known prompts [P] and what the model's music to each is like [P, 2 C]."""

    prompts: tuple[str, ...]
    descriptions: np.ndarray

    def nearest(self, latents: np.ndarray) -> tuple[tuple[str, float], ...]:
        """The prompts whose music is most like latents [C, n], with weights that sum to 1."""
        spread = self.descriptions.std(axis=0) + 1e-6
        away = (self.descriptions - described(latents)) / spread
        distances = np.sqrt(np.square(away).mean(axis=1))
        order = np.argsort(distances)[:NEAREST]
        weights = np.exp(-6.0 * (distances[order] - distances[order[0]]))
        weights /= weights.sum()
        return tuple(
            (self.prompts[i], round(float(w), 3)) for i, w in zip(order, weights, strict=True)
        )

    def to_dict(self) -> dict[str, list[float]]:
        """The JSON form: prompt to description."""
        rows = np.round(self.descriptions, 4).tolist()
        return dict(zip(self.prompts, rows, strict=True))

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[float]]) -> StyleTable:
        """Of a JSON form."""
        return cls(tuple(values), np.array(list(values.values()), np.float32))

    @classmethod
    def read(cls, folder: Path) -> StyleTable | None:
        """The table of a model's folder; None if it has none. Raises InputError if damaged."""
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        try:
            table = cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as problem:
            raise InputError(f"the table of styles {path} is damaged: {problem}") from None
        if table.descriptions.ndim != 2:
            raise InputError(f"the table of styles {path} is damaged: rows of unequal length")
        return table


def music_to(model: Model, prompt: str, seed: int) -> np.ndarray:
    """Latents [C, n] of what a model plays to a prompt, without its beginning."""
    from lmdm.live.session import Session

    session = Session(model, Controls(prompts=((prompt, 1.0),), guidance=2.0, seed=seed))
    seconds = session.block_samples / session.sample_rate
    blocks = [
        session.next_block().latents
        for _ in range(round((WARM_UP_SECONDS + MEASURED_SECONDS) / seconds))
    ]
    return np.concatenate(blocks[round(WARM_UP_SECONDS / seconds) :], axis=1)


def measured(
    model: Model, prompts: Sequence[str] = PROMPTS, tell: Callable[[str], None] = lambda _: None
) -> StyleTable:
    """Plays every prompt and describes it; `tell` hears of each as it is done."""
    rows = []
    for prompt in prompts:
        rows.append(np.mean([described(music_to(model, prompt, seed)) for seed in SEEDS], axis=0))
        tell(prompt)
    return StyleTable(tuple(prompts), np.array(rows, np.float32))
