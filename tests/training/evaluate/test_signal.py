import numpy as np
import pytest

from training.evaluate import signal

BLOCK = 8192


def music(seconds=20, seed=0):
    """Noise under a slow random loudness, with nothing at block joins."""
    generator = np.random.default_rng(seed)
    samples = seconds * 44100
    loudness = np.interp(
        np.arange(samples), np.arange(0, samples + 999, 997), generator.random(samples // 997 + 2)
    )
    return (0.2 * loudness * generator.standard_normal(samples)).astype(np.float32)


def test_a_continuous_sound_has_seam_ratio_one():
    assert signal.seam_flux_ratio(music(), BLOCK) == pytest.approx(1.0, abs=0.03)
    time = np.arange(44100 * 10) / 44100
    sweep = np.sin(2 * np.pi * (200 * time + 40 * time**2)).astype(np.float32)
    assert signal.seam_flux_ratio(sweep, BLOCK) == pytest.approx(1.0, abs=0.1)


def test_clicks_at_the_joins_are_seen_and_elsewhere_count_against():
    sound = 0.02 * music()
    at_joins, between = sound.copy(), sound.copy()
    at_joins[BLOCK::BLOCK] += 0.5
    between[BLOCK // 2 :: BLOCK] += 0.5
    assert signal.seam_flux_ratio(at_joins, BLOCK) > 2.0
    assert signal.seam_flux_ratio(between, BLOCK) < 0.6


def test_blocks_too_short_for_a_ratio_give_nan():
    assert np.isnan(signal.seam_flux_ratio(music(5), 2048))


def test_level_of_a_sine_is_minus_three_db():
    time = np.arange(44100) / 44100
    sine = np.sin(2 * np.pi * 441 * time).astype(np.float32)
    assert signal.level_db(np.stack([sine, sine], axis=1)) == pytest.approx(-3.0103, abs=1e-3)
    assert signal.level_db(np.zeros((10, 2), np.float32)) == -120.0


def test_high_share_is_level_of_the_treble():
    time = np.arange(44100) / 44100
    sound = np.sin(2 * np.pi * 1000 * time) + 0.1 * np.sin(2 * np.pi * 12000 * time)
    assert signal.high_share_db(sound.astype(np.float32)) == pytest.approx(-20.0, abs=0.2)


def test_signal_measures() -> None:
    time = np.arange(44100) / 44100
    sine = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    mono = np.stack([sine, sine], axis=1)
    assert signal.centroid(mono) == pytest.approx(1000, rel=0.02)
    assert signal.width(mono) == 0.0
    assert signal.width(np.stack([sine, -sine], axis=1)) > 100
    assert signal.crest_db(mono) == pytest.approx(3.01, abs=0.02)
    assert signal.centroid(np.zeros((4096, 2), np.float32)) == 0.0
