"""The last stages of every file: effects, DC block and limiter of takes, renders and replays."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from audio_io.dc_block import DCBlock
from audio_io.effects import Effects, Settings
from audio_io.limiter import Limiter, LimiterConfig
from lmdm.live import messages as m
from lmdm.live.messages import Message
from lmdm.live.mixdown import SAMPLE_RATE, Limit


class TakeEffects:
    """The output's effects but for its gain, as instant-lane messages set them.

    Threads: none; its mixdown calls it.
    """

    def __init__(self) -> None:
        self._settings = Settings()
        self.settle()

    def apply(self, message: Message) -> None:
        """See `lmdm.live.mixdown.Effects`."""
        match message:
            case m.SetWet(amount=amount):
                self._settings = replace(self._settings, wet=amount)
            case m.SetDry(amount=amount):
                self._settings = replace(self._settings, dry=amount)
            case m.SetLowPass(cutoff=cutoff):
                self._settings = replace(self._settings, low_pass=cutoff)
            case m.SetHighPass(cutoff=cutoff):
                self._settings = replace(self._settings, high_pass=cutoff)
            case _:
                return
        self._effects.set(self._settings)

    def settle(self) -> None:
        """See `lmdm.live.mixdown.Effects`."""
        self._effects = Effects(SAMPLE_RATE, 2, self._settings)

    def process(self, pcm: np.ndarray, live: np.ndarray) -> np.ndarray:
        """See `lmdm.live.mixdown.Effects`."""
        return self._effects.process(pcm, live)


class Mastering(NamedTuple):
    """What `Mixdown` needs: a function of pieces [n, 2] with its own state, its delay, effects."""

    limit: Limit
    latency: int  # samples
    effects: TakeEffects


def mastering() -> Mastering:
    """A fresh one, for one file."""
    dc_block, limiter = DCBlock(SAMPLE_RATE), Limiter(LimiterConfig(rate=SAMPLE_RATE))

    def limit(pcm: np.ndarray) -> np.ndarray:
        return limiter.process(dc_block.process(pcm))

    return Mastering(limit, limiter.latency, TakeEffects())
