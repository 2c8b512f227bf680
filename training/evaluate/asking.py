"""A model plays what local controls ask over time, as arrays, which no live session could be told.

Steps, guidance, the loudness asked for and how it is kept are the instrument's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmdm.checkpoints import Model
from lmdm.codec.streaming import streaming_decoder
from lmdm.conditioning.loudness import Loudness, db_of_level, level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.hearing import asked_db
from lmdm.live.leveller import Leveller
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
    block, conditioning = model.stream_config.block_frames, model.conditioning
    asked, free = levels(values, frames, block), values.get("notes") is None
    text = None
    if caption and model.text_encoder is not None:
        text = torch.from_numpy(np.array(model.text_encoder.encode(caption)))
    stream = BlockStream(model.dit, model.stream_config, seed)
    decoder, leveller = streaming_decoder(model.codec), Leveller()
    parts = []
    if conditioning is not None:
        heard = set(conditioning.names) - {"loudness"}
        features = conditioning.features({n: v for n, v in values.items() if n in heard}, frames)
    for number, first in enumerate(range(0, frames - frames % block, block)):
        local = None
        if conditioning is not None:
            local = torch.from_numpy(features[:, first : first + block])
            told = leveller.told(asked[number], free)
            if "loudness" in conditioning.names and told is not None:
                level = local[conditioning.slices["loudness"]].numpy()
                Loudness().write(level_of_db(told), level)
        conditions = BlockConditions(
            text, local, guidance=guidance, parallel=Controls.guidance_parallel
        )
        parts.append(stream.next_block(conditions, steps))
        leveller = leveller.after(decoder.decode(parts[-1]).T.numpy(), asked[number], free)
    return sound_of(model.codec, torch.cat(parts, dim=1).numpy())


def levels(values: Mapping[str, Any], frames: int, block: int) -> list[float | None]:
    """dB RMS asked of every block; None where silence is, or nothing can be.

    That of `values`, or else what the instrument asks for by the notes held (none: it is free).
    """
    notes: NoteFrames | None = values.get("notes")
    given = values.get("loudness")
    over_frames = None if given is None else np.broadcast_to(np.ravel(given), frames)
    asked: list[float | None] = []
    for first in range(0, frames, block):
        within = slice(first, first + block)
        if over_frames is not None:
            asked.append(db_of_level(float(over_frames[within].mean())))
        else:
            held = notes and NoteFrames(notes.onset[:, within], notes.sounding[:, within])
            asked.append(asked_db(Controls(), held))
    return asked
