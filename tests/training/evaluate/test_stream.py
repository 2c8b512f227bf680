import numpy as np
import pytest

from training.evaluate import stream

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
    assert stream.seam_flux_ratio(music(), BLOCK) == pytest.approx(1.0, abs=0.03)
    time = np.arange(44100 * 10) / 44100
    sweep = np.sin(2 * np.pi * (200 * time + 40 * time**2)).astype(np.float32)
    assert stream.seam_flux_ratio(sweep, BLOCK) == pytest.approx(1.0, abs=0.1)


def test_clicks_at_the_joins_are_seen_and_elsewhere_count_against():
    sound = 0.02 * music()
    at_joins, between = sound.copy(), sound.copy()
    at_joins[BLOCK::BLOCK] += 0.5
    between[BLOCK // 2 :: BLOCK] += 0.5
    assert stream.seam_flux_ratio(at_joins, BLOCK) > 2.0
    assert stream.seam_flux_ratio(between, BLOCK) < 0.6


def test_blocks_too_short_for_a_ratio_give_nan():
    assert np.isnan(stream.seam_flux_ratio(music(5), 2048))


def test_level_of_a_sine_is_minus_three_db():
    time = np.arange(44100) / 44100
    sine = np.sin(2 * np.pi * 441 * time).astype(np.float32)
    assert stream.level_db(np.stack([sine, sine], axis=1)) == pytest.approx(-3.0103, abs=1e-3)
    assert stream.level_db(np.zeros((10, 2), np.float32)) == -120.0


def test_drift_of_a_fading_sound_and_growing_latents():
    generator = np.random.default_rng(4)
    noise = generator.standard_normal((60 * 4410, 2)).astype(np.float32) * 0.1
    reference = generator.standard_normal((8, 4000)).astype(np.float32)
    latents = generator.standard_normal((8, 4000)).astype(np.float32)
    latents[:, 2000:] = 2 * latents[:, 2000:] + 3
    half = len(noise) // 2
    noise[half:] *= 0.5
    got = stream.drift(noise, latents, reference, window_seconds=3.0)
    assert got.window_seconds == pytest.approx(3.0)
    assert got.loudness_drift == pytest.approx(-6.02, abs=0.1)
    assert got.latent_mean[0] < 0.2 and got.latent_mean[-1] == pytest.approx(3.0, abs=0.2)
    assert got.latent_std[0] == pytest.approx(1.0, abs=0.1)
    assert got.latent_std[-1] == pytest.approx(2.0, abs=0.2)


def test_high_share_is_level_of_the_treble():
    time = np.arange(44100) / 44100
    sound = np.sin(2 * np.pi * 1000 * time) + 0.1 * np.sin(2 * np.pi * 12000 * time)
    assert stream.high_share_db(sound.astype(np.float32)) == pytest.approx(-20.0, abs=0.2)


def test_frechet_distance_in_closed_form():
    # Of one dimension: (m1 - m2)^2 + (s1 - s2)^2.
    values = np.random.default_rng(5).standard_normal((1, 5000))
    values = (values - values.mean()) / values.std(ddof=1)
    assert stream.frechet_distance(values, 3 * values + 2) == pytest.approx(4 + 4)
    cloud = np.random.default_rng(6).standard_normal((6, 500))
    assert stream.frechet_distance(cloud, cloud) == pytest.approx(0.0, abs=1e-9)
    turned = np.linalg.qr(np.random.default_rng(7).standard_normal((6, 6)))[0]
    other = np.random.default_rng(8).standard_normal((6, 500)) * 2 + 1
    direct = stream.frechet_distance(cloud, other)
    assert stream.frechet_distance(turned @ cloud, turned @ other) == pytest.approx(direct)
    assert stream.frechet_distance(other, cloud) == pytest.approx(direct)
