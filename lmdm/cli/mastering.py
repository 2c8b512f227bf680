"""The last stage of every file: the same DC block and limiter for takes, renders and replays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from audio_io.dc_block import DCBlock
from audio_io.limiter import Limiter, LimiterConfig
from lmdm.live.mixdown import SAMPLE_RATE, Limit


class Mastering(NamedTuple):
    """What `Mixdown` needs: a function of pieces [n, 2] with its own state, and its delay."""

    limit: Limit
    latency: int  # samples


def mastering() -> Mastering:
    """A fresh one, for one file."""
    dc_block, limiter = DCBlock(SAMPLE_RATE), Limiter(LimiterConfig(rate=SAMPLE_RATE))

    def limit(pcm: np.ndarray) -> np.ndarray:
        return limiter.process(dc_block.process(pcm))

    return Mastering(limit, limiter.latency)
