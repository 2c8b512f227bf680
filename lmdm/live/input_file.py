"""A recorded part as the live input would have been: one `HearInput` a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.live import wire
from lmdm.live.messages import HearInput

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

PIECE_FRAMES = 256  # encoded at once
HISTORY_FRAMES = 16  # of sound before and after a piece, for the encoder


def heard_input(
    model: Model, sound: np.ndarray, visible: int, samples: int
) -> Iterator[tuple[int, HearInput]]:
    """`(sample, message)` for every block of `samples` of music to a part `sound` [n, 2].

    visible: frames of the part after a block's beginning that the block hears; a whole block's is
    all that sounds with it, 0 what was played before it.
    """
    latents = encoded(model, sound)
    block = model.stream_config.block_frames
    size = block * model.codec.frame_samples
    for number in range(-(-samples // size)):
        frames = AccompanimentFrames.shifted(latents, number * block, block, visible, block)
        if frames.known.any():
            known = tuple(bool(each) for each in frames.known)
            yield number * size, HearInput(wire.text_of(frames.latents), visible, known)


@torch.inference_mode()
def encoded(model: Model, sound: np.ndarray) -> np.ndarray:
    """Latents [C, n] of whole frames of a sound [m, 2]: silence lies before it and after it."""
    frame = model.codec.frame_samples
    count = -(-len(sound) // frame)
    padded = np.zeros(((count + 2 * HISTORY_FRAMES) * frame, 2), np.float32)
    padded[HISTORY_FRAMES * frame :][: len(sound)] = sound
    pieces = []
    for first in range(0, count, PIECE_FRAMES):
        frames = min(PIECE_FRAMES, count - first)
        pcm = padded[first * frame : (first + frames + 2 * HISTORY_FRAMES) * frame]
        latents = model.codec.encode(torch.from_numpy(pcm.T.copy())[None])[0].float().cpu().numpy()
        pieces.append(latents[:, HISTORY_FRAMES : HISTORY_FRAMES + frames])
    return np.concatenate(pieces, axis=1)
