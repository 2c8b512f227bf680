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
from lmdm.conditioning.loudness import Loudness, level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.hearing import answer_db
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
    block = model.stream_config.block_frames
    local = None
    if model.conditioning is not None:
        heard = {name: v for name, v in values.items() if name in model.conditioning.names}
        features = model.conditioning.features(heard, frames)
        if "loudness" in model.conditioning.names and "loudness" not in values:
            asked = level_by_block(values.get("notes"), frames, block)
            features[model.conditioning.slices["loudness"]] = asked
        local = torch.from_numpy(features)
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


def level_by_block(notes: NoteFrames | None, frames: int, block: int) -> Array:
    """Loudness features [2, frames] as the instrument asks for them, block by block.

    notes: over all frames; None where the model is free.
    """
    asked = np.zeros((Loudness.channels, frames), np.float32)
    for first in range(0, frames, block):
        within = slice(first, first + block)
        held = notes and NoteFrames(notes.onset[:, within], notes.sounding[:, within])
        level = answer_db(held)
        if level is not None:
            Loudness().write(level_of_db(level), asked[:, within])
    return asked
