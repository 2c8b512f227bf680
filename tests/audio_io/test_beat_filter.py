"""The clock filter against clocks whose truth is known: steady, ragged, accelerating, jumping."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.beat_filter import HIGHEST_BPM, LOWEST_BPM, BeatFilter

STEP = 0.0005


class Truth:
    """A tempo curve and the beats that follow from it."""

    def __init__(self, bpm: Callable[[float], float], seconds: float) -> None:
        self.times = np.arange(0.0, seconds, STEP)
        self.bpm = np.array([bpm(time) for time in self.times])
        self.beats = np.concatenate(([0.0], np.cumsum(self.bpm[:-1] / 60.0 * STEP)))

    def beat(self, at: float) -> float:
        return float(np.interp(at, self.times, self.beats))

    def ticks(self, jitter: float, seed: int) -> np.ndarray:
        """Arrival times of the ticks, shaken by `jitter` seconds (1 sigma), in order."""
        count = int(self.beats[-1] * 24)
        exact = np.interp(np.arange(count) / 24, self.beats, self.times)
        shaken = exact + np.random.default_rng(seed).normal(0.0, jitter, count)
        return np.asarray(np.maximum.accumulate(shaken))


def errors(truth: Truth, jitter: float, after: float, seed: int = 0) -> tuple[float, float]:
    """Largest error in ms of the position, and RMS error in bpm, from `after` seconds on."""
    beats = BeatFilter()
    late, tempo = [0.0], [0.0]
    for number, at in enumerate(truth.ticks(jitter, seed)):
        beats.observe(number / 24, at)
        if at > after:
            rate = float(np.interp(at, truth.times, truth.bpm))
            late.append(60_000.0 / rate * abs(beats.beat(at) - truth.beat(at)))
            tempo.append(beats.bpm - rate)
    return max(late), float(np.sqrt(np.mean(np.square(tempo))))


@pytest.mark.parametrize("jitter", [0.0, 0.001, 0.003, 0.005])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_steady_clock_is_followed_more_closely_than_it_ticks(jitter: float, seed: int) -> None:
    worst, tempo = errors(Truth(lambda _: 120.0, 20.0), jitter, 4.0, seed)
    assert worst <= 1000.0 * 2.0 * jitter + 1e-6  # the ticks themselves are out by up to 4 sigma
    assert tempo <= 0.5


@pytest.mark.parametrize("seconds", [4.0, 20.0])
@pytest.mark.parametrize("jitter", [0.0, 0.003])
def test_a_ramp_from_120_to_128_is_followed(seconds: float, jitter: float) -> None:
    ramp = Truth(lambda t: 120.0 + 8.0 * min(1.0, max(0.0, (t - 4.0) / seconds)), seconds + 8.0)
    worst, tempo = errors(ramp, jitter, 3.0)
    assert worst < 6.0
    assert tempo < 0.7


def test_a_jump_of_tempo_is_followed_within_a_beat() -> None:
    jump = Truth(lambda t: 120.0 if t < 6.0 else 140.0, 12.0)
    worst, tempo = errors(jump, 0.001, 6.6)
    assert worst < 5.0
    assert tempo < 1.0


def test_the_shake_is_measured() -> None:
    beats = BeatFilter()
    for number, at in enumerate(Truth(lambda _: 120.0, 20.0).ticks(0.003, 4)):
        beats.observe(number / 24, at)
    assert beats.jitter == pytest.approx(0.003, rel=0.25)


def test_a_clock_that_was_away_begins_anew() -> None:
    beats = BeatFilter()
    for number in range(48):
        beats.observe(number / 24, number * 0.5 / 24)
    for number in range(48):
        beats.observe(2 + number / 24, 10.0 + number * 0.25 / 24)
    assert beats.bpm == pytest.approx(240.0, abs=0.1)
    assert beats.beat(11.0) == pytest.approx(6.0, abs=0.01)


@settings(max_examples=50)
@given(steps=st.lists(st.floats(0.0, 3.0), max_size=60))
def test_no_ticks_break_it(steps: list[float]) -> None:
    beats, at = BeatFilter(), 0.0
    for number, step in enumerate(steps):
        at += step
        beats.observe(number / 24, at)
        assert beats.bpm == 0.0 or LOWEST_BPM - 1e-6 <= beats.bpm <= HIGHEST_BPM + 1e-6
        assert np.isfinite(beats.beat(at + 1.0))
