"""A session behind a shaken MIDI clock: its own clock by law, the sound of the starter by proof."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmdm.checkpoints import load
from lmdm.cli.bench.clock import PROMPT
from lmdm.cli.bench.clock_ramp import SAMPLE_RATE, TOLERANCE_MS, Truth, distances, measure, play


def test_a_session_keeps_to_a_shaken_ramp(tiny_model) -> None:
    """120 to 128 bpm within 3 s, ticks shaken by 3 ms: the model is told the beat within 15 ms."""
    torch.set_num_threads(1)
    truth = Truth(lambda at: 120.0 + 8.0 * min(1.0, max(0.0, (at - 3.0) / 3.0)), 7.0)
    followed = play(load(str(tiny_model)), truth, True, 0.003, 1, "drums")
    assert len(followed.sound) >= 6.5 * SAMPLE_RATE
    assert followed.clock_worst_ms < 15.0
    assert 3 < followed.corrections < 60
    alone = play(load(str(tiny_model)), truth, False, 0.003, 1, "drums")
    assert alone.corrections == 0
    assert alone.clock_worst_ms > 60.0  # what following is worth


def test_the_judge_hears_clicks_where_they_are() -> None:
    """Clicks on a ramp are found on its beats; the same clicks between beats are not."""
    truth = Truth(lambda at: 120.0 + at / 2.0, 16.0)
    for shift, near in ((0.0, True), (0.5, False)):
        sound = np.zeros((16 * SAMPLE_RATE, 2), np.float32)
        for beat in range(int(truth.beats[-1]) - 1):
            at = round(truth.time(beat + shift) * SAMPLE_RATE)
            sound[at : at + 400] += np.random.default_rng(0).normal(0, 0.3, (400, 2))
        apart = distances(sound, truth)
        assert (apart <= TOLERANCE_MS).all() == near
        assert (np.median(apart) < 15.0) == near


@pytest.mark.slow
def test_the_starter_stays_within_35_ms_of_a_ramp() -> None:
    """As `lmdm bench clock` says: nine beats in ten, and nearly as many as without a ramp."""
    alone, followed = measure(load("starter"), 16.0, 0.002, takes=1, prompt=PROMPT)["rows"]
    assert followed["within"] >= 0.9
    assert followed["within"] >= alone["within"] - 0.06
    assert followed["clock_worst_ms"] < 12.0
