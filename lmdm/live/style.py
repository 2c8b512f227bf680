"""Style from a sound file, for a model without an audio style encoder.

The music that a model was trained on is described, window by window, by mean, spread and movement
of every latent channel; linear discriminant analysis finds the directions in which styles differ
most for how much each varies in itself (Fisher 1936; Rao 1948). A file is described likewise, and
the prompts of the nearest styles stand for it. The description is of timbre, register, density and
loudness together; it knows nothing of melody or form.

The table is a file of the model's folder, learnt once: `lmdm models styles MODEL --latents DIR`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmdm.errors import InputError

FILE_NAME = "styles.json"
NEAREST = 3  # prompts that stand for a file
WINDOW_FRAMES = 128
FEWEST_PIECES = 8  # of a style that is learnt
SHRINKAGE = 0.05  # of the within-style covariance, towards its own diagonal
TEMPERATURE = 2.0  # of the weights; where they tell held-out pieces best

Array = NDArray[np.floating[Any]]


def described(latents: Array) -> NDArray[np.float64]:
    """[w, 3 C]: mean, standard deviation and mean step of every channel of latents [C, n].

    A window has 128 frames; what is shorter is one window.
    """
    starts = range(0, max(1, latents.shape[1] - WINDOW_FRAMES + 1), WINDOW_FRAMES)
    windows = [latents[:, at : at + WINDOW_FRAMES].astype(np.float64) for at in starts]
    steps = [np.diff(each, axis=1, append=each[:, -1:]) for each in windows]
    parts = [
        (each.mean(axis=1), each.std(axis=1), np.abs(step).mean(axis=1))
        for each, step in zip(windows, steps, strict=True)
    ]
    return np.array([np.concatenate(each) for each in parts])


@dataclass(frozen=True)
class StyleTable:
    """Prompts [P], the directions [3 C, D] in which styles differ, and each one's place [P, D]."""

    prompts: tuple[str, ...]
    directions: Array
    places: Array

    def distances(self, latents: Array) -> NDArray[np.float64]:
        """[P]: mean squared distance of latents [C, n] from every style; 1 is a style's spread."""
        found = described(latents) @ self.directions
        away: NDArray[np.float64] = found[:, None] - self.places
        return np.asarray(np.square(away).sum(axis=2).mean(axis=0))

    def nearest(self, latents: Array) -> tuple[tuple[str, float], ...]:
        """The prompts whose music is most like latents [C, n], with weights that sum to 1."""
        distances = self.distances(latents)
        order = np.argsort(distances)[:NEAREST]
        weights = np.exp((distances[order[0]] - distances[order]) / (2.0 * TEMPERATURE))
        weights /= weights.sum()
        return tuple(
            (self.prompts[i], round(float(w), 3)) for i, w in zip(order, weights, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        places = np.round(self.places, 3).tolist()
        return {
            "directions": np.round(self.directions, 4).tolist(),
            "styles": dict(zip(self.prompts, places, strict=True)),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StyleTable:
        """Of a JSON form; KeyError, TypeError or ValueError where it is none."""
        styles = dict(values["styles"])
        directions = np.array(values["directions"], np.float32)
        places = np.array(list(styles.values()), np.float32)
        if directions.ndim != 2 or places.shape != (len(styles), directions.shape[1]):
            raise ValueError("rows of unequal length")
        return cls(tuple(map(str, styles)), directions, places)

    @classmethod
    def read(cls, folder: Path) -> StyleTable | None:
        """The table of a model's folder; None if it has none. Raises InputError if damaged."""
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as problem:
            raise InputError(f"the table of styles {path} is damaged: {problem}") from None


def style_of(facts: Mapping[str, Any]) -> str:
    """What an encoded piece is an example of: an instrument that plays alone, or its style."""
    captions, stems = facts["captions"], facts.get("stems", [])
    first = str(captions[0]) if captions else ""
    if any(stem["name"] == first for stem in stems):
        return first
    return str(facts.get("facts", {}).get("style", first))


@dataclass(frozen=True)
class Example:
    """A piece to learn from: its style, its captions, its latents [C, n]."""

    style: str
    captions: Sequence[str]
    latents: Array


def learnt(examples: Sequence[Example]) -> tuple[StyleTable, tuple[str, ...]]:
    """The table, and the styles in its order; rare ones are left out.

    A style's prompt is its commonest caption.

    Raises:
        InputError: there are not two styles with pieces enough.
    """
    counts = Counter(each.style for each in examples)
    styles = sorted(style for style, count in counts.items() if count >= FEWEST_PIECES)
    if len(styles) < 2:
        raise InputError(f"no two styles have {FEWEST_PIECES} pieces each to learn from")
    captions: dict[str, Counter[str]] = {style: Counter() for style in styles}
    windows: dict[str, list[NDArray[np.float64]]] = {style: [] for style in styles}
    for each in examples:
        if each.style in captions:
            captions[each.style].update(each.captions)
            windows[each.style].append(described(each.latents))
    found = [np.concatenate(windows[style]) for style in styles]
    means = np.stack([each.mean(axis=0) for each in found])
    rest = np.concatenate([each - mean for each, mean in zip(found, means, strict=True)])
    covariance = rest.T @ rest / len(rest)
    covariance += np.diag(SHRINKAGE * np.diag(covariance) + 1e-9)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    _, _, axes = np.linalg.svd((means - means.mean(axis=0)) @ whitening, full_matrices=False)
    directions = (whitening @ axes[: len(styles) - 1].T).astype(np.float32)
    prompts: list[str] = []
    for style in styles:
        known = [text for text, _ in captions[style].most_common()]
        prompts.append(next(text for text in [*known, style] if text not in prompts))
    table = StyleTable(tuple(prompts), directions, (means @ directions).astype(np.float32))
    return table, tuple(styles)
