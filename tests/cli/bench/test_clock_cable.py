"""Beats on a cable are compared with the moments at which the clock sent them."""

from __future__ import annotations

import numpy as np
import pytest

from lmdm.cli.bench.clock_cable import RATE, beats_apart
from tests.cli.bench.test_cable import BEGUN, PERIOD, recorded


def clicks(times: np.ndarray, seconds: float) -> np.ndarray:
    sound = np.zeros(round(seconds * RATE), np.float32)
    burst = np.random.default_rng(0).standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for time in times:
        start = round(time * RATE)
        sound[start : start + 2000] += 0.3 * burst[: len(sound) - start]
    return sound


def beats_of_a_rising_tempo() -> np.ndarray:
    return 1.0 + np.concatenate([[0.0], np.cumsum(np.linspace(0.5, 0.47, 40))])


TRACKER = -10.0  # ms: it sees an attack one hop early


@pytest.mark.parametrize("late", [-0.04, 0.0, 0.04])
def test_how_late_the_sound_is_is_found_on_a_rising_tempo(late: float) -> None:
    beats = beats_of_a_rising_tempo()
    apart = beats_apart(recorded(clicks(beats + late, 23.0), {}), BEGUN + beats)
    assert len(apart) >= 18
    assert np.median(apart) == pytest.approx(1000.0 * late + TRACKER, abs=8.0)


def test_periods_that_the_server_lost_move_no_beat() -> None:
    """The sound was in time on the cable, though a second of it has fewer samples."""
    beats, lost = beats_of_a_rising_tempo(), dict.fromkeys(range(500, 4000, 350), 1)
    times = np.arange(round(23.0 * RATE)) / RATE
    sound, kept = clicks(beats, 23.0), np.ones(len(times), bool)
    place = 0
    for piece in range(len(times) // PERIOD):
        gone = lost.get(piece, 0) * PERIOD
        kept[place : place + gone] = False
        place += PERIOD + gone
    apart = beats_apart(recorded(sound[kept], lost), BEGUN + beats)
    assert np.abs(apart - TRACKER).max() < 16.0  # ten lost periods are 53 ms
