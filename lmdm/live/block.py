"""What a session gives: one block of sound, and what happened in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmdm.live.take import Applied
from lmdm.live.waiting import Waiting


@dataclass(frozen=True)
class Block:
    """One generated block.

    pcm: [n, 2] float32; the codec's fixed delay makes it lag the latents, so `start` (the stream
    position of the first of these samples) is not a multiple of the block's length.
    latents: [C, o] float32.
    """

    pcm: np.ndarray
    latents: np.ndarray
    start: int
    applied: tuple[Applied, ...]  # controls that took effect in this block, in order
    waited: tuple[tuple[Waiting, Applied], ...] = ()  # those that had waited for a boundary
    remarks: tuple[str, ...] = ()  # what went wrong and was mended
