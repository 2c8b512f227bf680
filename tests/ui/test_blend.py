"""Laws of the blend: a partition of unity that finds its own point again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.live.controls import Controls
from ui import blend

points = st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))


@given(points, st.integers(1, 6))
def test_weights_are_a_partition_of_unity(point, count):
    weights = blend.weights_at(point, count)
    assert len(weights) == count
    assert min(weights) >= 0.0
    assert sum(weights) == pytest.approx(1.0)


@given(points, st.integers(3, 6))
def test_point_is_found_again_from_its_weights(point, count):
    inside = blend.nearest(point, count)
    found = blend.point_of(blend.weights_at(inside, count))
    assert found == pytest.approx(inside, abs=1e-9)


@pytest.mark.parametrize("count", range(1, 7))
def test_each_corner_is_one_prompt_alone(count):
    for index, corner in enumerate(blend.corners(count)):
        weights = blend.weights_at(corner, count)
        assert weights[index] == pytest.approx(1.0)


@given(points, st.integers(3, 6))
def test_nearest_lies_within_and_is_left_alone(point, count):
    inside = blend.nearest(point, count)
    assert blend.nearest(inside, count) == pytest.approx(inside, abs=1e-9)
    assert -1e-9 <= inside[0] <= 1 + 1e-9
    assert -1e-9 <= inside[1] <= 1 + 1e-9


@given(
    st.lists(st.floats(0.0, 10.0), max_size=6),
    st.none() | st.floats(0.0, 1.0),
)
def test_shares_are_those_the_engine_uses(weights, position):
    prompts = tuple((f"prompt {index}", weight) for index, weight in enumerate(weights))
    used = dict(Controls(prompts=prompts, blend=position).weighted_prompts())
    shown = blend.shares(prompts, position)
    for (text, _), share in zip(prompts, shown, strict=True):
        assert share == pytest.approx(used.get(text, 0.0))
