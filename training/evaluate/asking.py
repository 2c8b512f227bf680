"""A model plays what local controls ask, block after block, without the live session around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmdm.checkpoints import Model
from lmdm.errors import InputError
from lmdm.stream.block_stream import BlockConditions, BlockStream

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
    guidance: float = 1.5,
    steps: int | None = None,
) -> Array:
    """The sound [S, 2] of the whole blocks in `frames` latent frames, from a cold start.

    values: of local controls over all frames (`Control.write`); those that the model does not hear
    are left out. caption: "" is no text.
    """
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
    return sound_of(model, torch.cat(parts, dim=1))


@torch.inference_mode()
def sound_of(model: Model, latents: torch.Tensor | NDArray[Any]) -> Array:
    """Latents [C, T] decoded, [S, 2] float32."""
    tensor = torch.as_tensor(np.asarray(latents, np.float32))
    return np.ascontiguousarray(model.codec.decode(tensor[None])[0].T.float().numpy())
