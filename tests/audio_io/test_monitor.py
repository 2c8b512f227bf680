"""A live input is heard close behind the device, however late the feeder once was."""

from __future__ import annotations

import numpy as np

from audio_io.monitor import CALM_SECONDS, MARGIN_SECONDS, Monitor, shortened

RATE, PERIOD, AHEAD = 48000, 256, 0.09
TURN = 0.008


class Stage:
    """A device that plays on, a feeder that comes by, and a tone at the input."""

    def __init__(self) -> None:
        self.monitor = Monitor(RATE, RATE, 1)
        self.now, self._taken = 0.0, 0
        self.heard = np.zeros(round(120 * RATE), np.float32)

    def _live(self, _count: int) -> np.ndarray:
        come = round(self.now * RATE) // 192 * 192  # in pieces of 4 ms
        places = np.arange(self._taken, come)
        self._taken = come
        return np.sin(2.0 * np.pi * 440.0 * places / RATE).astype(np.float32)[:, None]

    def turn(self, after: float = TURN) -> float:
        """The feeder comes; seconds from the newest frame's arrival to where it is heard."""
        self.now += after
        first = round(self.now * RATE) // PERIOD * PERIOD + PERIOD
        end = first + round(AHEAD * RATE)
        place, pcm = self.monitor.take(self._live, lambda *_: None, first, end, 0.0)
        self.heard[place : place + len(pcm)] = pcm[:, 0]
        return (place + len(pcm)) / RATE - self.now


def lateness(stage: Stage, seconds: float) -> float:
    return max(stage.turn() for _ in range(round(seconds / TURN)))


def test_what_a_late_feeder_made_longer_is_given_back_without_a_click() -> None:
    stage = Stage()
    usual = lateness(stage, 2.0)
    assert usual < MARGIN_SECONDS + 0.015
    stage.turn(0.045)
    grown = lateness(stage, 2.0)
    assert grown > usual + 0.01
    calm = round(stage.now * RATE)
    lateness(stage, 2 * CALM_SECONDS + 20.0)
    assert lateness(stage, 2.0) < usual + 0.005
    end = round(stage.now * RATE)
    tone = stage.heard[calm + RATE : end]
    bend = np.abs(np.diff(tone, 2)).max()
    assert bend < 1.2 * (2.0 * np.pi * 440.0 / RATE) ** 2  # of the tone itself: no step anywhere


def test_one_frame_less_between_the_same_ends() -> None:
    pcm = np.linspace(-1.0, 1.0, 100, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    short = shortened(pcm)
    assert short.shape == (99, 2)
    np.testing.assert_allclose(short[[0, -1]], pcm[[0, -1]])
    np.testing.assert_allclose(np.diff(short, axis=0), 2.0 / 98.0, rtol=1e-3)
