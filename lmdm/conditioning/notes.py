"""Notes: for each of 128 pitches, where a note begins and where it sounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmdm.conditioning.control import Array, Control, over_frames

PITCHES = 128


@dataclass(frozen=True)
class NoteFrames:
    """The notes of some latent frames. All zeros means silence was asked for, not that it is open.

    onset: [128, frames], velocity / 127 in the frame a note begins, else 0.
    sounding: [128, frames], 1 while a note sounds, its onset frame included, else 0.
    """

    onset: Array
    sounding: Array

    @classmethod
    def from_notes(cls, notes: NDArray[np.floating], start: int, frames: int) -> NoteFrames:
        """The frames `start` to `start + frames` of a note list.

        notes: [n, 4 or more] = first frame, end frame (both fractional), pitch, velocity 1..127;
        further columns are passed over. A note sounds from the frame that holds its beginning up
        to, not including, the frame that holds its end, and at least in its first frame, as keys
        held live do (`lmdm.live.notes`).
        """
        onset = np.zeros((PITCHES, frames), np.float32)
        sounding = np.zeros((PITCHES, frames), np.float32)
        inside = notes[(notes[:, 0] < start + frames) & (notes[:, 1] >= start - 1)]
        for first, end, pitch, velocity in inside[:, :4].tolist():
            row, begin = int(pitch), int(first // 1) - start
            until = max(int(end // 1) - start, begin + 1)
            sounding[row, max(begin, 0) : max(until, 0)] = 1.0
            if 0 <= begin < frames:
                onset[row, begin] = max(onset[row, begin], velocity / 127.0)
        return cls(onset, sounding)


class Notes(Control[NoteFrames]):
    """onset[128], sounding[128], given."""

    name = "notes"
    channels = 2 * PITCHES + 1
    given = 2 * PITCHES
    range = (0.0, 1.0)
    dropout = 0.25
    messages = ("NoteOn", "NoteOff", "Sustain", "AllNotesOff", "SetNotesMode")
    labels = "notes"
    measure = "frame chroma F1 of a transcription, against the same notes shuffled in time"

    def write(self, value: NoteFrames, features: Array) -> None:
        """See `Control.write`."""
        features[:PITCHES] = over_frames(value.onset, features, "onset", PITCHES)
        features[PITCHES : 2 * PITCHES] = over_frames(value.sounding, features, "sounding", PITCHES)
        features[self.given] = 1.0
