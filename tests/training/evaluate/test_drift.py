"""Distances and slopes of drift in closed form."""

import numpy as np
import pytest

from training.evaluate import drift


def test_frechet_distance_in_closed_form():
    # Of one dimension: (m1 - m2)^2 + (s1 - s2)^2.
    values = np.random.default_rng(5).standard_normal((1, 5000))
    values = (values - values.mean()) / values.std(ddof=1)
    assert drift.frechet_distance(values, 3 * values + 2) == pytest.approx(4 + 4)
    cloud = np.random.default_rng(6).standard_normal((6, 500))
    assert drift.frechet_distance(cloud, cloud) == pytest.approx(0.0, abs=1e-9)
    turned = np.linalg.qr(np.random.default_rng(7).standard_normal((6, 6)))[0]
    other = np.random.default_rng(8).standard_normal((6, 500)) * 2 + 1
    direct = drift.frechet_distance(cloud, other)
    assert drift.frechet_distance(turned @ cloud, turned @ other) == pytest.approx(direct)
    assert drift.frechet_distance(other, cloud) == pytest.approx(direct)


def test_gaussian_kl_and_frechet_in_closed_form() -> None:
    generator = np.random.default_rng(0)
    cloud = generator.normal(0.0, 1.0, (3, 200_000))
    moved = 2.0 + 3.0 * generator.normal(0.0, 1.0, (3, 200_000))
    wanted = 0.5 * (9 + 4 - 1 - np.log(9))
    assert drift.diagonal_kl(moved, cloud) == pytest.approx(wanted, rel=0.02)
    assert drift.diagonal_kl(cloud, cloud) == pytest.approx(0.0, abs=1e-9)
    assert drift.latent_frechet(moved, cloud) == pytest.approx(3 * (4 + 4), rel=0.02)
    assert drift.latent_frechet(5 * moved, 5 * cloud) == pytest.approx(24, rel=0.02)


def test_slopes_and_windows() -> None:
    assert drift.slope_per_minute([0, 30, 60], [1.0, 2.0, 3.0]) == pytest.approx(2.0)
    clouds = [np.arange(10.0)[None], np.arange(7.0)[None] + 100]
    parts = drift.by_window(clouds, 3)
    assert [part[0].tolist() for part in parts] == [
        [0, 1, 2, 100, 101, 102], [3, 4, 5, 103, 104, 105],
    ]  # fmt: skip
    low, high = drift.bootstrap_interval([1.0, 2.0, 3.0, 4.0])
    assert 1.0 < low < 2.5 < high < 4.0
