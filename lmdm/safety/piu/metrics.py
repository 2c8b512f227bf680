"""Figures of forgetting and retaining, from embeddings of generated samples (§4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def identity_similarity(generated: Array, centroids: Array) -> float:
    """ISM: mean cosine of embeddings [N, D] to their own centroids [N, D] or one [D]."""
    return float((generated * centroids).sum(axis=-1).mean())


def accuracy(generated: Array, centroids: Array, identities: NDArray[np.int64]) -> float:
    """Share of embeddings [N, D] whose nearest of all centroids [M, D] is their own identity's."""
    return float((nearest(generated, centroids) == identities).mean())


def nearest(generated: Array, centroids: Array) -> NDArray[np.int64]:
    """The nearest centroid's number of each embedding."""
    return (generated @ centroids.T).argmax(axis=1)


def retain_to_unlearn(retain_accuracy: float, forget_accuracy: float) -> float:
    """SRK = AccR / (AccU + 0.01). Near 100 where AccU is near 0, and unstable there."""
    return retain_accuracy / (forget_accuracy + 0.01)


def kernel_distance(one: Array, other: Array) -> float:
    """Unbiased squared maximum mean discrepancy of embeddings, cubic kernel (x·y / D + 1)³."""

    def kernel(a: Array, b: Array) -> Array:
        return np.asarray((a @ b.T / a.shape[1] + 1.0) ** 3)

    def within(a: Array) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(one) + within(other) - 2.0 * float(kernel(one, other).mean())


@dataclass(frozen=True)
class Figures:
    """One model's figures on held-out conditions."""

    forget_similarity: float  # ISM of the target: low is forgotten
    retain_similarity: float  # ISM of held-out identities: high is kept
    forget_accuracy: float  # AccU
    retain_accuracy: float  # AccR
    srk: float
    anchor_share: float  # of forget samples, those nearest to the anchor
    forget_distance: float  # kernel distance to what the original makes
    retain_distance: float


@dataclass(frozen=True)
class Generated:
    """Embeddings [n, D] of what a model makes of held-out conditions, from shared seeds."""

    forget: Array
    retain: Array


def figures(
    made: Generated,
    original: Generated,
    centroids: Array,
    target: int,
    retained: NDArray[np.int64],
    anchor: int,
) -> Figures:
    """retained: the identity of each retain sample."""
    forget_accuracy = accuracy(made.forget, centroids, np.full(len(made.forget), target))
    retain_accuracy = accuracy(made.retain, centroids, retained)
    return Figures(
        identity_similarity(made.forget, centroids[target]),
        identity_similarity(made.retain, centroids[retained]),
        forget_accuracy,
        retain_accuracy,
        retain_to_unlearn(retain_accuracy, forget_accuracy),
        float((nearest(made.forget, centroids) == anchor).mean()),
        kernel_distance(made.forget, original.forget),
        kernel_distance(made.retain, original.retain),
    )
