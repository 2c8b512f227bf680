"""Laws of the DC block: finite, no DC, the bass untouched, the same in any pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.dc_block import DCBlock

RATE = 44100


def test_dc_goes_and_bass_stays() -> None:
    times = np.arange(3 * RATE) / RATE
    constant = DCBlock(RATE, 1).process(np.full((len(times), 1), 0.5, np.float32))
    assert np.abs(constant[-RATE:]).max() < 1e-4
    bass = (0.5 * np.sin(2 * np.pi * 40 * times)).astype(np.float32)[:, None]
    heard = DCBlock(RATE, 1).process(bass)[-RATE:]
    assert abs(np.sqrt((heard**2).mean()) / (0.5 / np.sqrt(2)) - 1) < 0.01


def test_what_is_not_a_number_is_silence() -> None:
    pcm = np.zeros((6, 2), np.float32)
    pcm[1], pcm[3], pcm[4] = np.nan, np.inf, -np.inf
    assert (DCBlock(RATE).process(pcm) == 0).all()
    pcm[2] = np.finfo(np.float32).max
    assert np.isfinite(DCBlock(RATE).process(pcm)).all()


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_pieces_equal_whole(cuts: list[int]) -> None:
    pcm = np.random.default_rng(0).standard_normal((9000, 2)).astype(np.float32)
    at = np.minimum(np.cumsum(cuts), 9000).astype(int).tolist()
    whole, pieces = DCBlock(RATE), DCBlock(RATE)
    streamed = np.concatenate([pieces.process(part) for part in np.split(pcm, at)])
    assert np.abs(whole.process(pcm) - streamed).max() <= 1e-6
