"""Laws of the limiter: bounded whatever comes in, exact when nothing is too loud, streamable."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audio_io.limiter import Audio, Limiter, LimiterConfig

CEILING = 10 ** (-1 / 20)

any_audio = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 500), st.just(2)), elements=st.floats(width=32)
)


def flushed(limiter: Limiter, pcm: Audio) -> Audio:
    """The limited signal without its delay."""
    tail = np.zeros((limiter.latency, pcm.shape[1]), np.float32)
    return limiter.process(np.concatenate((pcm, tail)))[limiter.latency :]


@settings(deadline=None, max_examples=60)
@given(pcm=any_audio)
def test_any_bits_come_out_finite_and_below_the_ceiling(pcm: Audio) -> None:
    """NaN, infinities and 1e38 included."""
    limited = flushed(Limiter(LimiterConfig()), pcm)
    assert limited.shape == pcm.shape and limited.dtype == np.float32
    assert np.isfinite(limited).all()
    assert np.abs(limited).max(initial=0.0) <= CEILING


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), drive=st.floats(0.0, 50.0), cuts=st.lists(st.integers(0, 3000))
)
def test_streamed_equals_one_shot(seed: int, drive: float, cuts: list[int]) -> None:
    pcm = (drive * np.random.default_rng(seed).standard_normal((9000, 2))).astype(np.float32)
    pcm[:3000] *= 0.01
    whole, pieces = Limiter(LimiterConfig()), Limiter(LimiterConfig())
    at = np.minimum(np.cumsum(cuts), 9000).astype(int).tolist()
    streamed = np.concatenate([pieces.process(part) for part in np.split(pcm, at)])
    assert np.abs(whole.process(pcm) - streamed).max() <= 1e-6


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), peak=st.floats(1e-6, CEILING * 0.999))
def test_transparent_below_the_ceiling(seed: int, peak: float) -> None:
    """Bit for bit, but for the delay."""
    pcm = np.random.default_rng(seed).uniform(-peak, peak, (3000, 2)).astype(np.float32)
    limiter = Limiter(LimiterConfig())
    assert (flushed(limiter, pcm) == pcm).all()
    assert limiter.reduction_db == 0.0


def test_ceiling_holds_before_the_final_clip() -> None:
    """The gain itself keeps the peak, smoothly: a lone peak lands on the ceiling, unclipped."""
    pcm = np.zeros((2000, 1), np.float32)
    pcm[1000] = 10.0
    limited = flushed(Limiter(LimiterConfig(), channels=1), pcm)
    assert abs(limited[1000, 0] - CEILING) < 1e-6
    loud = 0.1 * np.ones((4000, 1), np.float32)
    loud[2000] = 3.0
    gain = flushed(Limiter(LimiterConfig(), channels=1), loud)[:, 0] / loud[:, 0]
    assert gain[2000] * 3.0 <= CEILING + 1e-6
    assert np.abs(np.diff(gain)).max() < 0.02  # no gain step that would click


def test_recovers_after_a_peak_and_reports_it() -> None:
    limiter = Limiter(LimiterConfig(), channels=1)
    pcm = np.full((1000, 1), 2.0, np.float32)
    limiter.process(pcm)
    assert abs(limiter.reduction_db - (20 * np.log10(2.0) + 1.0)) < 0.01
    quiet = np.full((44100, 1), 0.1, np.float32)
    assert limiter.process(quiet)[-1, 0] == np.float32(0.1)


def test_channels_keep_their_balance() -> None:
    pcm = np.stack((np.full(2000, 4.0), np.full(2000, 1.0)), axis=1).astype(np.float32)
    limited = flushed(Limiter(LimiterConfig()), pcm)
    assert np.allclose(limited[:, 1] / limited[:, 0], 0.25)


def test_state_can_be_restored() -> None:
    """What the output relies on to render waiting sound anew."""
    draw = np.random.default_rng(5)
    limiter = Limiter(LimiterConfig())
    limiter.process((3 * draw.standard_normal((1000, 2))).astype(np.float32))
    state, pcm = limiter.state, (3 * draw.standard_normal((1000, 2))).astype(np.float32)
    first = limiter.process(pcm)
    limiter.process(pcm)
    limiter.state = state
    assert (limiter.process(pcm) == first).all()
