"""How well scores tell memorised prompts from others: AUC, TPR at 1 % FPR, bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmdm.errors import InputError

Array = NDArray[np.float64]


def trajectory_scores(z: Array, first: int | None = None) -> Array:
    """S_mem = max over steps of |z of the update| (§2.3), [N] from z [N, K, 3].

    first: only that many steps from the beginning.
    """
    return np.abs(z[:, :first, 0]).max(axis=1)


def mean_scores(z: Array) -> Array:
    """The variant that averages |z| over steps, [N]."""
    return np.abs(z[:, :, 0]).mean(axis=1)


def auc(positive: Array, negative: Array) -> float:
    """Chance that a positive's score lies above a negative's, ties counting half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    upto = np.searchsorted(ordered, positive, "right")
    return float((below + upto).sum() / (2.0 * len(positive) * len(negative)))


def rate_at(positive: Array, negative: Array, false_rate: float = 0.01) -> float:
    """Share of positives above the threshold that `false_rate` of the negatives exceed."""
    threshold = np.quantile(negative, 1.0 - false_rate, method="higher")
    return float((positive > threshold).mean())


@dataclass(frozen=True)
class Separation:
    """Figures of one set of positives against one of negatives; interval: 95 %, over prompts."""

    auc: float
    interval: tuple[float, float]
    true_positive_rate_at_1_percent: float
    positives: int
    negatives: int


def separation(
    positive: dict[str, Array], negative: dict[str, Array], seed: int = 0, draws: int = 1000
) -> Separation:
    """prompt -> scores of its trajectories, for both classes.

    The bootstrap draws prompts, not trajectories: those of one prompt are not independent.

    Raises:
        InputError: a class without prompts.
    """
    if not positive or not negative:
        raise InputError("an evaluation needs memorised prompts and others; label some of each")
    generator = np.random.default_rng(seed)
    rows = [list(positive.values()), list(negative.values())]
    sampled = []
    for _ in range(draws):
        drawn = [
            np.concatenate([side[index] for index in generator.integers(0, len(side), len(side))])
            for side in rows
        ]
        sampled.append(auc(drawn[0], drawn[1]))
    yes, no = (np.concatenate(side) for side in rows)
    low, high = np.quantile(sampled, [0.025, 0.975])
    return Separation(
        auc(yes, no), (float(low), float(high)), rate_at(yes, no), len(positive), len(negative)
    )
