"""Weights of prompts as the blend surface shows them, and the point back from them. Pure; no Qt.

>>> weights_at((0.25, 0.5), 2)
(0.75, 0.25)
>>> point_of((0.75, 0.25))
(0.25, 0.5)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmdm.live.pad import Point, corners, nearest, weights_at

__all__ = ["Point", "corners", "nearest", "point_of", "shares", "weights_at", "weights_over"]


def point_of(weights: Sequence[float]) -> Point:
    """The point whose weights these are: the average of the corners. All zero means the middle."""
    total = sum(weights)
    if total <= 0.0:
        weights, total = [1.0] * len(weights), float(len(weights))
    places = corners(len(weights))
    x = sum(weight * place[0] for weight, place in zip(weights, places, strict=True)) / total
    y = sum(weight * place[1] for weight, place in zip(weights, places, strict=True)) / total
    return x, y


def shares(
    prompts: Sequence[tuple[str, float]], blend: float | None, pad: Point | None = None
) -> tuple[float, ...]:
    """What each prompt in the list contributes, summing to 1 (all 0 when there is nothing).

    A point on the pad decides; else, with a crossfade position, the two prompts around it share;
    else the weights do.
    """
    count = len(prompts)
    if pad is not None and count:
        return weights_at(pad, count)
    if blend is None or count < 2:
        weights = [weight for _, weight in prompts]
    else:
        weights = [max(0.0, 1.0 - abs(blend * (count - 1) - index)) for index in range(count)]
    total = sum(weights)
    return tuple(weight / total if total > 0.0 else 0.0 for weight in weights)


def weights_over(points: np.ndarray, count: int) -> np.ndarray:
    """Weights [n, count] at many points [n, 2] at once, for a picture of them.

    As `weights_at`, but a point outside the surface gets weights of no meaning, and sums to 1.
    """
    places = np.array(corners(count))
    if count < 3:
        share = np.clip(points[:, 0], 0.0, 1.0)
        return np.stack([1.0 - share, share], axis=1)[:, :count]
    around = np.roll(places, -1, axis=0) - places  # [count, 2], from each corner to the next
    inward = points[:, None] - places
    edges = around[:, 0] * inward[..., 1] - around[:, 1] * inward[..., 0]  # [n, count]
    edges = np.maximum(edges, 1e-9)
    before = np.roll(around, 1, axis=0)
    corner = before[:, 0] * around[:, 1] - before[:, 1] * around[:, 0]
    both = edges * np.roll(edges, 1, axis=1)  # the two edges that meet in the corner
    raw = corner * edges.prod(axis=1, keepdims=True) / both
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))
