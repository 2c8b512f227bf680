"""Perceived quality: the fallback in closed form, ViSQOL where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from training.evaluate import quality


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    samples = round(seconds * quality.SAMPLE_RATE)
    return 0.1 * np.random.default_rng(seed).standard_normal((samples, 2)).astype(np.float32)


def test_nsim_is_one_of_itself_and_the_intensity_term_of_constants() -> None:
    ramp = np.add.outer(np.arange(12.0), np.arange(9.0))
    assert quality.nsim(ramp, ramp, 80.0) == pytest.approx(1.0)
    a, b, c = 20.0, 50.0, 0.01 * 80.0
    wanted = (2 * a * b + c**2) / (a**2 + b**2 + c**2)
    assert quality.nsim(np.full((9, 9), a), np.full((9, 9), b), 80.0) == pytest.approx(wanted)


def test_nsim_of_opposite_structure_is_negative() -> None:
    board = np.indices((12, 12)).sum(axis=0) % 2 * 40.0
    assert quality.nsim(board, 40.0 - board, 80.0) < 0


def test_the_fallback_says_so_and_hears_less_in_worse_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    judge = quality.best_quality()
    assert "fallback" in judge.name
    sound = noise(1.0)
    little, much = sound + 0.1 * noise(1.0, 1), sound + 10 * noise(1.0, 1)
    assert judge.compare(sound, sound) == pytest.approx(1.0)
    assert 1.0 > judge.compare(sound, little) > judge.compare(sound, much)


@pytest.mark.slow
def test_visqol_rates_the_original_best() -> None:
    pytest.importorskip("visqol")
    pytest.importorskip("libsvm")
    judge = quality.best_quality()
    assert "fallback" not in judge.name
    sound = noise(3.0)
    assert judge.compare(sound, sound) > 4.5 > judge.compare(sound, sound[::-1].copy())
