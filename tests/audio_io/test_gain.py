"""Laws of the fader: exact at rest, a straight 10 ms line in between, the same in any pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io.gain import Fader, amplitude


@given(
    start=st.floats(0, 4),
    targets=st.lists(st.tuples(st.floats(0, 4), st.integers(1, 700)), min_size=1, max_size=6),
)
def test_gain_never_jumps_and_arrives(start: float, targets: list[tuple[float, int]]) -> None:
    fader = Fader(rate=44100, gain=start)
    heard = [np.array([start])]
    for gain, count in targets:
        fader.set_gain(gain)
        heard.append(fader.process(np.ones((count, 1), np.float32))[:, 0])
        if count >= 441:
            assert heard[-1][-1] == np.float32(gain)
    assert np.abs(np.diff(np.concatenate(heard))).max() <= 4 / 441 + 1e-6


@given(cuts=st.lists(st.integers(0, 300), max_size=5))
def test_pieces_equal_whole(cuts: list[int]) -> None:
    pcm = np.random.default_rng(0).standard_normal((1500, 2)).astype(np.float32)
    whole, pieces = Fader(48000), Fader(48000)
    whole.set_gain(0.25)
    pieces.set_gain(0.25)
    at = np.minimum(np.cumsum(cuts), 1500).astype(int).tolist()
    parts = np.split(pcm, at)
    assert np.allclose(
        whole.process(pcm), np.concatenate([pieces.process(p) for p in parts]), atol=1e-6
    )


def test_unity_is_exact_and_amplitudes() -> None:
    pcm = np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32)
    assert (Fader(48000).process(pcm) == pcm).all()
    assert amplitude(0.0) == 1.0
    assert amplitude(-90.0) == 0.0
    assert amplitude(6.0) == pytest.approx(1.99526, abs=1e-5)
