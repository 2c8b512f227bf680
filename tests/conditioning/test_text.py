"""The shipped text encoder, and blends of prompts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmdm
from lmdm.conditioning.text import MiniLMTextEncoder, blend
from lmdm.errors import InputError

TOKENIZER = Path(lmdm.__file__).parent / "starter" / "tokenizer.json"


@pytest.fixture(scope="module")
def encoder() -> MiniLMTextEncoder:
    return MiniLMTextEncoder(TOKENIZER)


def unit_vectors(count: int, seed: int, dim: int = 8) -> list[np.ndarray]:
    points = np.random.default_rng(seed).standard_normal((count, 1, dim))
    return list((points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32))


def test_a_prompt_is_one_unit_token(encoder: MiniLMTextEncoder) -> None:
    tokens = encoder.encode("felt piano, slow")
    assert tokens.shape == (1, 384) and tokens.dtype == np.float32
    assert np.linalg.norm(tokens) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0, 0] = 1.0


def test_like_prompts_are_nearer_than_unlike(encoder: MiniLMTextEncoder) -> None:
    piano, grand, techno = (
        encoder.encode(text)[0] for text in ("solo piano", "a grand piano alone", "hard techno")
    )
    assert piano @ grand > piano @ techno + 0.2


def test_the_length_of_others_does_not_matter(encoder: MiniLMTextEncoder) -> None:
    """A prompt's embedding is its own: no padding leaks in."""
    again = MiniLMTextEncoder(TOKENIZER)
    again.encode("a much longer prompt with many words that comes before the other one")
    np.testing.assert_array_equal(again.encode("organ"), encoder.encode("organ"))


def test_prompts_are_remembered(encoder: MiniLMTextEncoder) -> None:
    assert encoder.encode("warm pad") is encoder.encode("warm pad")


def test_an_empty_prompt_is_no_text(encoder: MiniLMTextEncoder) -> None:
    assert not encoder.encode("  ").any()


def test_a_bad_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer\.json is not a readable tokenizer"):
        MiniLMTextEncoder(tmp_path / "tokenizer.json").encode("piano")


def test_linear_blend_scales_weights_to_one() -> None:
    first, second = unit_vectors(2, seed=0)
    np.testing.assert_allclose(
        blend([first, second], [3, 1]), 0.75 * first + 0.25 * second, atol=1e-6
    )
    np.testing.assert_array_equal(blend([first], [0.2]), first)


@given(seed=st.integers(0, 1000), share=st.floats(0.0, 1.0))
@settings(deadline=None, max_examples=50)
def test_slerp_of_two_is_shoemakes(seed: int, share: float) -> None:
    first, second = unit_vectors(2, seed)
    angle = np.arccos(np.clip((first * second).sum(), -1, 1))
    expected = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(
        angle
    )
    np.testing.assert_allclose(
        blend([first, second], [1 - share, share], "slerp"), expected, atol=1e-5
    )


@given(seed=st.integers(0, 1000), count=st.integers(2, 6))
@settings(deadline=None, max_examples=50)
def test_spherical_mean_is_balanced_whatever_the_order(seed: int, count: int) -> None:
    """At the mean the weighted tangent vectors cancel, and the order of prompts means nothing."""
    points = [point + 0.4 for point in unit_vectors(count, seed)]  # within one hemisphere
    points = [point / np.linalg.norm(point) for point in points]
    weights = np.random.default_rng(seed).random(count) + 0.1
    mean = blend(points, list(weights), "slerp")
    np.testing.assert_allclose(blend(points[::-1], list(weights[::-1]), "slerp"), mean, atol=1e-5)
    assert np.linalg.norm(mean) == pytest.approx(1.0, abs=1e-5)
    pull = np.zeros_like(mean)
    for point, weight in zip(points, weights, strict=True):
        cosine = float(np.clip((point * mean).sum(), -1, 1))
        across = point - cosine * mean
        pull += weight * across * (np.arccos(cosine) / max(float(np.linalg.norm(across)), 1e-12))
    assert np.linalg.norm(pull) < 1e-2 * weights.sum()


def test_opposite_and_empty_prompts_blend() -> None:
    point = unit_vectors(1, seed=3)[0]
    for mode in ("linear", "slerp"):
        assert np.isfinite(blend([point, -point], [1, 1], mode)).all()
        np.testing.assert_allclose(blend([point, 0 * point], [1, 1], mode), 0.5 * point, atol=1e-6)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], [1.0]])
def test_bad_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="weight"):
        blend(unit_vectors(2, seed=1), weights)
