"""The output filters against their own transfer function, and against clicks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.filters import Filter

RATE, PIECE = 48000, 240


def run(filter_: Filter, audio: np.ndarray, piece: int = PIECE) -> np.ndarray:
    return np.concatenate(
        [filter_.process(audio[at : at + piece]) for at in range(0, len(audio), piece)]
    )


def gain(kind: str, cutoff: float, frequency: float) -> float:
    """Magnitude of a second-order Butterworth after the bilinear transform."""
    ratio = np.tan(np.pi * frequency / RATE) / np.tan(np.pi * cutoff / RATE)
    return float((1.0 if kind == "low" else ratio**2) / np.sqrt(1.0 + ratio**4))


@pytest.mark.parametrize("kind", ["low", "high"])
@pytest.mark.parametrize("cutoff", [40.0, 700.0, 9000.0])
def test_response_is_butterworth(kind: str, cutoff: float) -> None:
    filter_ = Filter(kind, RATE, channels=1)
    filter_.cutoff = cutoff
    for _ in range(2):
        filter_.process(np.zeros((PIECE, 1), np.float32))  # the crossfade from open is over
    impulse = np.zeros((RATE, 1), np.float32)
    impulse[0] = 1.0
    spectrum = np.abs(np.fft.rfft(run(filter_, impulse)[:, 0]))  # bins of 1 Hz
    for frequency in (20, 200, 700, 3000, 15000):
        assert spectrum[frequency] == pytest.approx(
            gain(kind, cutoff, frequency), rel=2e-3, abs=1e-5
        )


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_pieces_of_any_size_give_the_same(cuts: list[int]) -> None:
    audio = np.random.default_rng(0).normal(0, 0.3, (sum(cuts), 2)).astype(np.float32)
    whole, pieces = Filter("low", RATE), Filter("low", RATE)
    for each in (whole, pieces):
        each.cutoff = 1000.0
        each.process(np.zeros((10, 2), np.float32))
    edges = np.cumsum([0, *cuts])
    out = np.concatenate([pieces.process(audio[a:b]) for a, b in itertools.pairwise(edges)])
    assert np.abs(whole.process(audio) - out).max() < 1e-6


@pytest.mark.parametrize("kind", ["low", "high"])
def test_turning_and_switching_never_clicks(kind: str) -> None:
    """A 100 Hz sine while the cutoff jumps: no step larger than the sine's own and a little."""
    filter_ = Filter(kind, RATE, channels=1)
    tone = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)[:, None].astype(np.float32)
    pieces = []
    for number, at in enumerate(range(0, RATE, PIECE)):
        filter_.cutoff = [None, 80.0, 4000.0, 100.0, 20000.0][number // 7 % 5]
        pieces.append(filter_.process(tone[at : at + PIECE]))
    out = np.concatenate(pieces)[:, 0]
    assert np.abs(out).max() < 1.5
    assert np.abs(np.diff(out)).max() < 0.03  # the sine's own steps are 0.013


def test_open_is_the_same_array_and_a_state_can_be_returned_to() -> None:
    filter_ = Filter("low", RATE)
    audio = np.random.default_rng(1).normal(0, 0.3, (PIECE, 2)).astype(np.float32)
    assert filter_.process(audio) is audio
    filter_.cutoff = 300.0
    filter_.process(audio)
    state = filter_.state
    first = filter_.process(audio)
    filter_.process(audio)
    filter_.state = state
    assert (filter_.process(audio) == first).all()


def test_a_cutoff_beyond_what_the_rate_can_do_is_stable() -> None:
    filter_ = Filter("low", 16000, channels=1)
    filter_.cutoff = 20000.0
    noise = np.random.default_rng(2).normal(0, 0.3, (16000, 1)).astype(np.float32)
    assert np.abs(run(filter_, noise)).max() < 4.0
