"""Chord: the pitch classes the music is to move in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lmdm.conditioning.control import Array, Control, over_frames

PITCH_CLASSES = 12


def chroma(pitch_classes: Iterable[int]) -> Array:
    """[12], 1 at each pitch class (0 is C; numbers from 12 on are folded)."""
    members = np.zeros(PITCH_CLASSES, np.float32)
    members[[pitch_class % PITCH_CLASSES for pitch_class in pitch_classes]] = 1.0
    return members


def chroma_frames(chords: NDArray[np.floating], start: int, frames: int) -> Array:
    """[12, frames] of the frames `start` to `start + frames` of a chord list; 0 between chords.

    chords: [n, 14] = first frame, end frame (fractional), chroma. A frame has the chord that holds
    its centre.
    """
    members = np.zeros((PITCH_CLASSES, frames), np.float32)
    centres = start + np.arange(frames) + 0.5
    for chord in chords[(chords[:, 0] < start + frames) & (chords[:, 1] > start)]:
        members[:, (centres >= chord[0]) & (centres < chord[1])] = chord[2:, None] > 0.0
    return members


class Chord(Control[Array]):
    """given, chroma[12]. The value is a chroma [12] or [12, frames]; an empty chroma gives none."""

    name = "chord"
    channels = 1 + PITCH_CLASSES
    given = 0
    range = (0.0, 1.0)
    dropout = 0.5
    messages = ("SetChord",)
    labels = "chords"
    measure = "share of the chroma's energy in the chord, against the same chords shuffled in time"

    def write(self, value: Array, features: Array) -> None:
        """See `Control.write`."""
        members = over_frames(value, features, "chroma", PITCH_CLASSES)
        features[1:] = members
        features[0] = members.any(axis=0)
