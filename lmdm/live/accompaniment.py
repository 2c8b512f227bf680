"""Live input as accompaniment: what a block is given of what somebody else plays.

Two kinds of model hear one. Those with the control `accompaniment` are given it beside each frame
of a block, as the control says. Fine-tunes of Stable Audio with an accompaniment stem (130 inputs,
dossier §5) are given each frame the input of its own time: mask 1 and its latents where that is
known, mask 0 where it is yet to come. There the context hears what has become known since, and is
encoded anew. All other models go on from the input as if they had played it (`Session.hear`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.errors import InputError
from lmdm.live.messages import HearInput

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.stream.block_stream import BlockStream


def hears_accompaniment(model: Model) -> bool:
    """Whether a model plays along with an input, rather than go on from it."""
    names = model.conditioning.names if model.conditioning is not None else ()
    return "accompaniment" in names or bool(model.stream_config.accompaniment)


class Accompaniment:
    """The input that one block is given.

    Threads: none; its session calls it.
    """

    def __init__(self, model: Model) -> None:
        self.stem = bool(model.stream_config.accompaniment)
        self.heard = hears_accompaniment(model)
        self._block_frames = model.stream_config.block_frames
        self.frames: AccompanimentFrames | None = None  # for the control, of the present block
        self._own: Tensor | None = None  # for a stem: the newest known frames [1 + C, n]

    def hear(self, message: HearInput, latents: Tensor, stream: BlockStream) -> None:
        """Takes in what the present block is to hear; latents [C, o].

        Raises:
            InputError: it is not as long as a block.
        """
        count = latents.shape[1]
        if count != self._block_frames:
            raise InputError(
                f"hear_input: {count} frames were given; a block has {self._block_frames}"
            )
        known = np.array(message.known or (True,) * count)
        if not self.stem:
            self.frames = AccompanimentFrames(latents.float().cpu().numpy(), known)
            return
        places = np.flatnonzero(known)
        if not len(places):
            return
        latents = latents[:, places[0] : places[-1] + 1]
        given = torch.cat([torch.ones_like(latents[:1]), latents])
        start = message.ahead - count + int(places[0])  # frames after the block's beginning
        past = max(0, min(-start, given.shape[1]))
        if past:
            stream.hear_again(given[:, :past], -(start + past))
        self._own = F.pad(given[:, past:], (max(0, start), 0))[:, : self._block_frames]

    def stem_local(self, jams: bool, like: Tensor) -> Tensor:
        """[1 + C, o] for the stem, [C, n] being like; without an input that is jammed with, silence
        is given, as in training.
        """
        local = like.new_zeros(1 + like.shape[0], self._block_frames)
        if not jams:
            local[0] = 1.0
        elif self._own is not None:
            local[:, : self._own.shape[1]] = self._own
        return local

    def forget(self) -> None:
        """The block is over."""
        self.frames = self._own = None
