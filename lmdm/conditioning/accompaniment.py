"""Accompaniment: what somebody else plays, as latents, for the model to play along with.

A block is made before the input that sounds with it has been played, so a frame is not given the
input of its own time but the newest that is known: with future visibility v (in frames; 0 is
"up to the beginning of the block") frame f of a block of o frames is given the input's frame
f + v - o. At v = o, offline, that is the frame itself; at v = 0 it is the block before. Given so, a
frame's features never change afterwards, and cached context stays valid. The model was trained for
v between -3 o and o without being told which: it hears from its context how the input is placed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmdm.conditioning.control import Array, Control, over_frames

LATENT_CHANNELS = 64


@dataclass(frozen=True)
class AccompanimentFrames:
    """The input as each of some frames is given it.

    latents: [64, frames] of the model's own codec. known: [frames] bool; where false (nothing was
    played yet, or only silence) the latents are not read.
    """

    latents: Array
    known: NDArray[np.bool_]

    @classmethod
    def shifted(
        cls, latents: NDArray[np.floating], start: int, frames: int, visibility: int, block: int
    ) -> AccompanimentFrames:
        """The frames `start` to `start + frames` of an input [64, T] seen from blocks of `block`.

        visibility: in frames; see above. What lies outside the input is not known.
        """
        places = np.arange(start, start + frames) + visibility - block
        known = (places >= 0) & (places < latents.shape[1])
        seen = latents[:, places.clip(0, max(0, latents.shape[1] - 1))].astype(np.float32)
        return cls(np.where(known, seen, np.float32(0.0)), known)


class Accompaniment(Control[AccompanimentFrames]):
    """given, latents[64]; frames that are not known are all zeros."""

    name = "accompaniment"
    channels = 1 + LATENT_CHANNELS
    given = 0
    range = (-math.inf, math.inf)  # latents have no bounds; they are of about unit size
    dropout = 0.2
    messages = ("HearInput",)
    labels = "accompaniment"
    measure = "agreement of chroma and onsets with the input, against inputs of other pieces"

    def write(self, value: AccompanimentFrames, features: Array) -> None:
        """See `Control.write`."""
        known = over_frames(value.known, features, "known") > 0.0
        latents = over_frames(value.latents, features, "latents", LATENT_CHANNELS)
        features[0] = known
        features[1:] = np.where(known, latents, 0.0)
