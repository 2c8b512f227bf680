from __future__ import annotations

import numpy as np
import pytest

from lmdm.safety.piu.identities import unit
from lmdm.safety.piu.metrics import (
    accuracy,
    identity_similarity,
    kernel_distance,
    retain_to_unlearn,
)


def test_closed_forms() -> None:
    centroids = np.eye(3)
    made = unit(np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 2.0]]))
    assert identity_similarity(made, centroids[0]) == pytest.approx((1 + 0.6 + 0) / 3)
    assert accuracy(made, centroids, np.array([0, 0, 2])) == pytest.approx(2 / 3)
    assert retain_to_unlearn(1.0, 0.0) == pytest.approx(100.0)
    assert retain_to_unlearn(0.99, 0.98) == pytest.approx(1.0)


def test_kernel_distance_is_unbiased_and_sees_a_shift() -> None:
    generator = np.random.default_rng(0)
    same = [
        kernel_distance(generator.normal(size=(40, 8)), generator.normal(size=(40, 8)))
        for _ in range(200)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / 200**0.5
    shifted = kernel_distance(generator.normal(size=(40, 8)), 1 + generator.normal(size=(40, 8)))
    assert shifted > np.mean(same) + 5 * np.std(same)


def test_kernel_distance_against_the_definition() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(5, 3)), generator.normal(size=(4, 3))
    k = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    xx = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy)
