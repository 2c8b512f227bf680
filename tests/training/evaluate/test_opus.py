import numpy as np
import pytest

from training.evaluate import distances, opus


def test_equal_rate_interpolates_and_stays_inside():
    rates, measured = [8.0, 16.0, 32.0], [4.0, 3.0, 2.0]
    assert opus.equal_rate(rates, measured, 3.5) == pytest.approx(np.sqrt(8 * 16))
    assert opus.equal_rate(rates, measured, 9.0) == pytest.approx(8.0)
    assert opus.equal_rate(rates, measured, 0.1) == pytest.approx(32.0)


@pytest.mark.skipif(not opus.available(), reason="ffmpeg is not installed")
def test_opus_keeps_length_and_time_and_more_bits_are_nearer():
    time = np.arange(2 * 44100) / 44100
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 3000)) / 8
    generator = np.random.default_rng(0)
    hiss = 0.01 * generator.standard_normal((2, len(time)))
    sound = (chord + hiss).T.astype(np.float32)
    low, low_rate = opus.round_trip(sound, 12)
    high, high_rate = opus.round_trip(sound, 96)
    assert low.shape == high.shape == sound.shape
    assert low_rate < high_rate
    assert distances.si_sdr(sound, high) > 10  # a shift by one sample would cost it
    near, far = (distances.log_mel_distance(sound, each) for each in (high, low))
    assert near < far
