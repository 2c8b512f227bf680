"""Beats on a cable are compared with the moments at which the clock sent them."""

from __future__ import annotations

import numpy as np
import pytest

from lmdm.cli.bench.clock_cable import RATE, beats_apart


def clicks(times: np.ndarray, seconds: float) -> np.ndarray:
    sound = np.zeros(round(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for time in times:
        start = round(time * RATE)
        sound[start : start + 2000] += 0.3 * burst[: len(sound) - start]
    return sound


@pytest.mark.parametrize("late", [-0.04, 0.0, 0.04])
def test_how_late_the_sound_is_is_found_on_a_rising_tempo(late: float) -> None:
    intervals = np.linspace(0.5, 0.47, 40)
    beats = 1.0 + np.concatenate([[0.0], np.cumsum(intervals)])
    sound = clicks(beats + late, 23.0)
    apart = beats_apart(sound, 500.0, beats + 500.0)
    assert len(apart) >= 18
    tracker = -10.0  # it sees an attack one hop early
    assert np.median(apart) == pytest.approx(1000.0 * late + tracker, abs=8.0)
