from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.safety.memorization.evaluation import (
    auc,
    mean_scores,
    rate_at,
    separation,
    trajectory_scores,
)

numbers = st.lists(st.integers(-5, 5), min_size=1, max_size=20).map(lambda x: np.array(x, float))


@given(numbers, numbers)
def test_auc_is_the_chance_of_a_right_order(positive: np.ndarray, negative: np.ndarray) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert auc(positive, negative) == pytest.approx(np.mean(pairs))
    assert auc(positive, negative) + auc(negative, positive) == pytest.approx(1.0)


def test_scores_are_of_the_update_alone() -> None:
    z = np.zeros((1, 4, 3))
    z[0, :, 0] = [1.0, -3.0, 2.0, -5.0]
    z[0, :, 1:] = 99.0
    assert trajectory_scores(z).tolist() == [5.0]
    assert trajectory_scores(z, first=3).tolist() == [3.0]
    assert mean_scores(z).tolist() == [2.75]


def test_the_rate_is_above_what_one_in_a_hundred_others_exceed() -> None:
    others = np.arange(1000.0)
    assert rate_at(np.array([998.0, 980.0, 2000.0, 990.0]), others) == 0.5


def test_the_interval_holds_the_figure_and_draws_prompts() -> None:
    generator = np.random.default_rng(0)
    yes = {f"y{i}": generator.normal(1.0, 1.0, 8) for i in range(30)}
    no = {f"n{i}": generator.normal(0.0, 1.0, 8) for i in range(30)}
    found = separation(yes, no)
    low, high = found.interval
    assert low < found.auc < high
    assert found.auc == pytest.approx(0.76, abs=0.06)  # Φ(1/√2)
    clones = {f"y{i}": np.full(8, generator.normal(1.0, 1.0)) for i in range(30)}
    wide = separation(clones, no).interval
    assert wide[1] - wide[0] > 1.5 * (high - low)


def test_both_classes_are_needed() -> None:
    with pytest.raises(InputError, match="label some of each"):
        separation({}, {"a": np.ones(1)})
