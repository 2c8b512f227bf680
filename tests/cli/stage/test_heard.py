"""What is heard moves evenly, however unevenly the device tells of it."""

from __future__ import annotations

import numpy as np
import pytest

from lmdm.cli.stage.heard import Heard

RATE = 44100


class Device:
    """Plays in real time on a clock that the test turns; a look is up to 14 ms late."""

    def __init__(self) -> None:
        self.now = self.played = 0.0
        self._draw = np.random.default_rng(0)

    def look(self) -> int:
        return round((self.played - 0.014 * self._draw.random()) * RATE)

    def play(self, seconds: float) -> None:
        self.now += seconds
        self.played += seconds


@pytest.fixture
def device() -> Device:
    return Device()


def errors(device: Device, heard: Heard, seconds: float, step: float = 0.05) -> np.ndarray:
    """Milliseconds from what is played, at looks some time apart."""
    found = []
    for _ in range(round(seconds / step)):
        device.play(step)
        found.append(1000.0 * (heard.position() / RATE - device.played))
    return np.array(found)


def test_it_is_steadier_than_a_look(device: Device) -> None:
    heard = Heard(device.look, lambda: device.now)
    found = errors(device, heard, 12.0)[40:]  # two seconds of looks
    single = np.array([1000.0 * (device.look() / RATE - device.played) for _ in range(200)])
    assert found.std() < single.std() / 3
    assert found.mean() == pytest.approx(-7.0, abs=1.0)


def test_looks_one_upon_the_other_count_once(device: Device) -> None:
    heard = Heard(device.look, lambda: device.now)
    errors(device, heard, 3.0)
    before = heard.position()
    assert {heard.position() for _ in range(1000)} == {before}


def test_a_lost_period_is_known_within_a_second_and_a_pause_at_once(device: Device) -> None:
    heard = Heard(device.look, lambda: device.now)
    errors(device, heard, 3.0)
    device.now += 0.02  # sound stood still for so long
    assert np.mean(errors(device, heard, 3.0)[-20:]) == pytest.approx(-7.0, abs=3.0)
    device.now += 30.0
    assert abs(heard.position() / RATE - device.played) < 0.02
