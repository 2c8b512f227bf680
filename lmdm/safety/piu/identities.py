"""Identities from face embeddings, and how they are split for forgetting and for proof (§2, §8).

A cluster is not a verified person: two clusters of one person defeat unlearning and its metrics
alike, so `nearest` tells how close the target's nearest other cluster is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lmdm.errors import InputError
from lmdm.weights import read_header, read_tensors, write_beside

Array = NDArray[np.float64]

FORGET_VALIDATION = 0.35  # of the target's embeddings, at least one
RETAIN_VALIDATION = 0.1  # of the other identities, whole


@dataclass(frozen=True)
class Identities:
    """embeddings [N, D] of unit length; labels [N], an identity's number; centroids [M, D]."""

    embeddings: Array
    labels: NDArray[np.int64]
    centroids: Array

    def of(self, identity: int) -> NDArray[np.int64]:
        """Indices of one identity's embeddings."""
        return np.flatnonzero(self.labels == identity)

    def nearest(self, identity: int) -> tuple[int, float]:
        """The nearest other identity and the cosine of the two centroids."""
        cosine = self.centroids @ self.centroids[identity]
        cosine[identity] = -np.inf
        return int(cosine.argmax()), float(cosine.max())


def unit(vectors: Array) -> Array:
    """Rows of unit length.

    Raises:
        InputError: a row that is zero or not finite.
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    spoilt = ~np.isfinite(lengths) | (lengths == 0.0)
    if spoilt.any():
        row = int(np.flatnonzero(spoilt)[0])
        raise InputError(f"embedding {row} (from 0) is zero or not finite; leave such images out")
    return vectors / lengths


def cluster(embeddings: Array, eps: float = 0.35, min_samples: int = 2) -> Identities:
    """DBSCAN by cosine distance; noise points become identities of one image.

    embeddings: [N, D], any length but 0. Identities are numbered by their first image.
    """
    from sklearn.cluster import DBSCAN

    embeddings = unit(embeddings.astype(np.float64))
    found = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(embeddings)
    keys = [int(label) if label >= 0 else -1 - index for index, label in enumerate(found)]
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return labelled(embeddings, np.array([number[key] for key in keys]))


def labelled(embeddings: Array, labels: NDArray[np.int64]) -> Identities:
    """Identities whose labels, 0 to M - 1, are known."""
    embeddings = unit(embeddings.astype(np.float64))
    count = int(labels.max()) + 1
    centroids = np.stack([embeddings[labels == label].mean(axis=0) for label in range(count)])
    return Identities(embeddings, labels, unit(centroids))


@dataclass(frozen=True)
class Split:
    """Who is used for what. Forget lists hold indices of embeddings, retain lists identities."""

    target: int
    forget_train: tuple[int, ...]
    forget_validation: tuple[int, ...]
    retain_train: tuple[int, ...]
    retain_validation: tuple[int, ...]
    seed: int

    def save(self, path: Path) -> None:
        """Writes the manifest as JSON, beside and renamed."""
        text = json.dumps(asdict(self), indent=1)
        write_beside(path, lambda part: part.write_text(text))


def split(identities: Identities, target: int, seed: int = 42) -> Split:
    """The seeded split of §2: the target's images, and the other identities as wholes.

    Raises:
        InputError: an unknown target, one with a single image, or too few other identities.
    """
    count = len(identities.centroids)
    if not 0 <= target < count:
        raise InputError(f"there is no identity {target}; they are numbered 0 to {count - 1}")
    images = identities.of(target)
    if len(images) < 2:
        raise InputError(
            f"identity {target} has one image; forgetting needs two or more, so that it can be "
            "proved on images it was not fitted to"
        )
    if count < 4:
        raise InputError(f"{count} identities are too few to retain any; give 4 or more")
    generator = np.random.default_rng(seed)
    images = generator.permutation(images)
    held = max(1, round(FORGET_VALIDATION * len(images)))
    others = generator.permutation([each for each in range(count) if each != target])
    validation = max(1, round(RETAIN_VALIDATION * len(others)))
    return Split(
        target,
        _sorted(images[held:]),
        _sorted(images[:held]),
        _sorted(others[validation:]),
        _sorted(others[:validation]),
        seed,
    )


def load_split(path: Path, identities: Identities) -> Split:
    """Raises InputError unless the file is a split of these identities."""
    try:
        values = json.loads(path.read_text())
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        chosen = Split(**(values | lists))
        fits = chosen == split(identities, chosen.target, chosen.seed)
    except (OSError, ValueError, TypeError, AttributeError, IndexError, RecursionError):
        raise InputError(f"{path} is not the split of a run") from None
    if not fits:
        raise InputError(f"{path} is a split of other identities than were given")
    return chosen


def _sorted(values: Sequence[int] | NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(sorted(int(value) for value in values))


@dataclass(frozen=True)
class Anchor:
    """The identity that takes the target's place; cosine of the two centroids."""

    identity: int
    cosine: float


def anchors(
    identities: Identities, chosen: Split, tau: float = 0.2, tolerance: float = 0.01
) -> list[Anchor]:
    """A_τ: identities of retain-*training* whose cosine to the target lies within tolerance of τ.

    One of retain-validation would spoil the retain metrics, so they are never candidates.
    """
    cosine = identities.centroids @ identities.centroids[chosen.target]
    near = [each for each in chosen.retain_train if abs(cosine[each] - tau) < tolerance]
    return [Anchor(each, float(cosine[each])) for each in near]


def choose_anchor(
    identities: Identities,
    chosen: Split,
    tau: float = 0.2,
    tolerance: float = 0.01,
    seed: int = 42,
) -> Anchor:
    """One of `anchors`, uniformly.

    Raises:
        InputError: there is none; the sentence names the nearest there is.
    """
    candidates = anchors(identities, chosen, tau, tolerance)
    if not candidates:
        everyone = anchors(identities, chosen, tau, tolerance=3.0)
        best = min(everyone, key=lambda each: abs(each.cosine - tau))
        raise InputError(
            f"no identity lies within {tolerance:g} of cosine {tau:g} to the target; the nearest "
            f"is {best.identity} at {best.cosine:.3f}: give another tau or a wider tolerance"
        )
    return candidates[int(np.random.default_rng(seed).integers(len(candidates)))]


def save_identities(identities: Identities, path: Path) -> None:
    """Writes them as safetensors, beside and renamed."""
    arrays = {
        "embeddings": identities.embeddings,
        "labels": identities.labels,
        "centroids": identities.centroids,
    }
    write_beside(path, lambda part: save_file(arrays, part))


def load_identities(path: Path) -> Identities:
    """What `save_identities` wrote.

    Raises:
        InputError: the file is no such file, or its parts do not fit one another.
    """
    header = read_header(path)
    if header.keys() != {"embeddings", "labels", "centroids"}:
        raise InputError(f"{path} does not hold identities; make it with `piu cluster`")
    arrays = _arrays(path)
    embeddings, labels, centroids = (arrays[name] for name in ("embeddings", "labels", "centroids"))
    fits = (
        embeddings.ndim == centroids.ndim == 2
        and labels.shape == embeddings.shape[:1]
        and embeddings.shape[1] == centroids.shape[1]
        and set(np.unique(labels)) == set(range(len(centroids)))
        and bool(np.isfinite(embeddings).all() and np.isfinite(centroids).all())
    )
    if not fits:
        raise InputError(f"{path} is damaged: its embeddings, labels and centroids do not agree")
    return Identities(embeddings, labels.astype(np.int64), centroids)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every tensor of a file; floating point ones as float64, whatever numpy has no name for."""
    return {
        name: (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in read_tensors(path).items()
    }


def read_embeddings(path: Path) -> Array:
    """[N, D] from .safetensors (a tensor `embeddings`) or .npy.

    Raises:
        InputError: neither, damaged, or not a matrix of finite numbers.
    """
    if path.suffix == ".npy":
        try:
            found = np.array(np.load(path, mmap_mode="r"))  # a false size fails, allocating nothing
        except FileNotFoundError:
            raise InputError(f"there is no file {path}; give a matrix of embeddings") from None
        except Exception:  # numpy's header parser raises what it likes
            raise InputError(
                f"{path} is not a whole .npy array of numbers; write it anew with numpy.save"
            ) from None
    else:
        if "embeddings" not in read_header(path):
            raise InputError(f"{path} has no tensor 'embeddings'")
        found = _arrays(path)["embeddings"]
    if found.ndim != 2 or not found.size or found.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {found.shape} {found.dtype}, not a matrix of embeddings")
    return np.asarray(found, np.float64)
