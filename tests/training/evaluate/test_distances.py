import numpy as np
import pytest

from training.evaluate import distances


@pytest.fixture
def noise():
    return (0.1 * np.random.default_rng(1).standard_normal((44100, 2))).astype(np.float32)


def test_equal_sounds_have_no_distance(noise):
    assert distances.log_mel_distance(noise, noise) == 0.0
    assert distances.stft_distance(noise, noise) == 0.0
    assert distances.average_mel_distance(noise, noise) == 0.0


def test_log_mel_distance_of_a_gain_is_the_gain(noise):
    assert distances.log_mel_distance(noise, 0.5 * noise) == pytest.approx(6.0206, abs=1e-3)
    assert distances.average_mel_distance(noise, 0.5 * noise) == pytest.approx(6.0206, abs=1e-3)


def test_stft_distance_of_a_gain_in_closed_form(noise):
    # convergence 1 - g, logs ln(1 / g)
    want = 0.5 + np.log(2)
    assert distances.stft_distance(noise, 0.5 * noise) == pytest.approx(want, abs=2e-3)


def test_si_sdr_closed_form():
    time = np.arange(44100) / 44100
    want = np.sin(2 * np.pi * 100 * time)
    other = np.cos(2 * np.pi * 100 * time)  # orthogonal and as loud
    for gain in (0.1, 1.0, 3.0):
        got = (gain * (want + 0.1 * other)).astype(np.float32)
        assert distances.si_sdr(want.astype(np.float32), got) == pytest.approx(20.0, abs=0.01)
    assert distances.si_sdr(np.zeros(10, np.float32), np.ones(10, np.float32)) == 0.0


def test_lengths_are_cut_to_the_shorter(noise):
    assert distances.log_mel_distance(noise, noise[:-700]) == 0.0


def test_mel_bands_each_sum_to_one():
    bands = distances.mel_bands()
    assert np.allclose(bands.sum(axis=0), 1.0)
    assert (bands >= 0).all()


def test_grid_tone_is_found_and_noise_has_none():
    generator = np.random.default_rng(2)
    sound = 0.05 * generator.standard_normal(44100 * 8)
    size, spacing = 8192, 44100 / 2048
    clean = distances.average_spectrum(sound.astype(np.float32), size)
    assert abs(distances.grid_tone(clean, size, spacing)) < 0.5
    sound[::2048] += 4.0
    dirty = distances.average_spectrum(sound.astype(np.float32), size)
    assert distances.grid_tone(dirty, size, spacing) > 3.0


def test_a_whistle_that_was_not_there_is_found():
    sound = 0.05 * np.random.default_rng(2).standard_normal(44100 * 8)
    time = np.arange(len(sound)) / 44100
    own = 0.02 * np.sin(2 * np.pi * 3000 * time)
    whistle = 0.005 * np.sin(2 * np.pi * 7943 * time)
    spectra = [
        distances.average_spectrum(each.astype(np.float32), 16384)
        for each in (sound + own, sound + own + whistle)
    ]
    hertz, excess = distances.strongest_new_tone(spectra[0], spectra[1], 16384)
    assert hertz == pytest.approx(7943, abs=3)
    assert excess > 6.0
    assert distances.strongest_new_tone(spectra[0], spectra[0], 16384)[1] == 0.0
