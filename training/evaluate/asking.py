"""A model plays what local controls ask over time, as arrays, which no live session could be told.

Steps, guidance and the loudness asked for are the instrument's own unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmdm.checkpoints import Model
from lmdm.conditioning.loudness import level_of_db
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.hearing import ANSWER_DB
from lmdm.stream.block_stream import BlockConditions, BlockStream
from training.evaluate.codec import sound_of

SETTLING = 3.0  # s at the beginning that judges leave out: the stream starts cold
Array = NDArray[np.float32]


def require(model: Model, control: str) -> None:
    """Raises InputError unless the model hears a control."""
    heard = model.conditioning.names if model.conditioning is not None else ()
    if control not in heard:
        raise InputError(
            f"the model {model.name} hears no {control}; it hears: {', '.join(heard) or 'nothing'}"
        )


@torch.inference_mode()
def played(
    model: Model,
    caption: str,
    values: Mapping[str, Any],
    frames: int,
    seed: int = 1,
    guidance: float = Controls.guidance,
    steps: int | None = None,
) -> Array:
    """The sound [S, 2] of the whole blocks in `frames` latent frames, from a cold start.

    values: of local controls over all frames (`Control.write`); those that the model does not hear
    are left out. Where they name no loudness, the instrument's own is asked for, as it asks.
    caption: "" is no text.
    """
    values = {"loudness": level_of_db(ANSWER_DB)} | dict(values)
    block = model.stream_config.block_frames
    local = None
    if model.conditioning is not None:
        heard = {name: v for name, v in values.items() if name in model.conditioning.names}
        local = torch.from_numpy(model.conditioning.features(heard, frames))
    text = None
    if caption and model.text_encoder is not None:
        text = torch.from_numpy(np.array(model.text_encoder.encode(caption)))
    stream = BlockStream(model.dit, model.stream_config, seed)
    parts = []
    for first in range(0, frames - frames % block, block):
        conditions = BlockConditions(
            text_tokens=text,
            local=None if local is None else local[:, first : first + block],
            guidance=guidance,
        )
        parts.append(stream.next_block(conditions, steps))
    return sound_of(model.codec, torch.cat(parts, dim=1).numpy())
