"""A fade ends in silence with the level where it was; whoever touches the level has it."""

from __future__ import annotations

import time

import pytest

from lmdm.cli.stage.fade_out import FadingOut
from lmdm.live.messages import Message, Mute, Panic, SetGain


class Stage:
    """An output's level, as messages leave it."""

    def __init__(self, gain_db: float) -> None:
        self.gain_db, self.muted = gain_db, False
        self.fading = FadingOut(self.send, lambda: self.gain_db)

    def send(self, message: Message) -> None:
        if isinstance(message, SetGain):
            self.gain_db = message.gain_db
        else:
            self.muted = isinstance(message, Panic) or message.on
        self.fading.observe(message)

    def until(self, true) -> None:
        end = time.monotonic() + 20.0
        while not true():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.005)


def test_a_fade_falls_to_silence_and_leaves_the_level_where_it_was() -> None:
    stage = Stage(-6.0)
    stage.fading.begin(0.3)
    stage.until(lambda: stage.gain_db < -20.0)
    stage.until(lambda: stage.muted and stage.gain_db == -6.0)


def test_a_second_fade_takes_the_first_ones_place() -> None:
    stage = Stage(-6.0)
    stage.fading.begin(30.0)
    stage.until(lambda: stage.gain_db < -6.0)
    stage.fading.begin(0.1)
    stage.until(lambda: stage.muted and stage.gain_db == -6.0)
    time.sleep(0.15)
    assert stage.gain_db == -6.0


@pytest.mark.parametrize("message", [SetGain(-3.0), Mute(True), Panic()], ids=str)
def test_a_hand_on_the_level_ends_it(message: Message) -> None:
    stage = Stage(-6.0)
    stage.fading.begin(30.0)
    stage.until(lambda: stage.gain_db < -6.0)
    stage.send(message)
    expected = -3.0 if isinstance(message, SetGain) else -6.0
    stage.until(lambda: stage.gain_db == expected)
    time.sleep(0.15)
    assert stage.gain_db == expected
    assert stage.muted == (not isinstance(message, SetGain))
