"""The meter tells peak and RMS of known signals."""

from __future__ import annotations

import numpy as np
import pytest

from audio_io.meters import Meter


def test_levels_of_a_sine() -> None:
    meter = Meter(48000)
    times = np.arange(48000) / 48000
    sine = 0.5 * np.sin(2 * np.pi * 1000 * times)
    pcm = np.stack((sine, np.zeros(48000)), axis=1).astype(np.float32)
    for at in range(0, 48000, 240):
        meter.process(pcm[at : at + 240])
    assert meter.peak[0] == pytest.approx(0.5, rel=0.01)
    assert meter.rms[0] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert meter.peak[1] == meter.rms[1] == 0.0


def test_peak_falls_20_db_a_second() -> None:
    meter = Meter(48000, channels=1)
    meter.process(np.ones((240, 1), np.float32))
    for _ in range(200):
        meter.process(np.zeros((240, 1), np.float32))
    meter.process(np.zeros((0, 1), np.float32))
    assert meter.peak[0] == pytest.approx(0.1, rel=0.01)
