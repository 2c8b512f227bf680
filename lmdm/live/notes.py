"""Held notes: key and pedal events become the onset and sustain grid of each block.

    >>> notes = HeldNotes()
    >>> frames = notes.block([(1, NoteOn(60, 127))], frames=4)
    >>> frames.onset[60].tolist(), frames.sounding[60].tolist()
    ([0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0])

The grid is the model's own: `lmdm.conditioning.notes` says what its numbers mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lmdm.conditioning.notes import PITCHES, NoteFrames
from lmdm.live.messages import AllNotesOff, Message, NoteOff, NoteOn, Sustain


class HeldNotes:
    """Keys that are down and notes that the pedal holds.

    A note lasts at least the frame of its onset, so a key pressed and released between two blocks
    is still heard.
    """

    def __init__(self) -> None:
        self._velocity: dict[int, int] = {}  # keys down -> velocity
        self._pedalled: set[int] = set()  # keys up that the pedal holds
        self._pedal = False

    @staticmethod
    def hears(message: Message) -> bool:
        """Whether a message is about notes."""
        return isinstance(message, (NoteOn, NoteOff, Sustain, AllNotesOff))

    @property
    def pitches(self) -> tuple[int, ...]:
        """Pitches that sound, in order."""
        return tuple(sorted(set(self._velocity) | self._pedalled))

    @property
    def pedal(self) -> bool:
        """Whether the sustain pedal is down."""
        return self._pedal

    def block(self, events: Iterable[tuple[int, Message]], frames: int) -> NoteFrames:
        """Applies `(frame, message)` events in order and returns the block's notes.

        Frames are counted from the block's first, 0 to frames - 1, and must not fall; messages
        that are not about notes are passed over.
        """
        onset = np.zeros((PITCHES, frames), np.float32)
        sounding = np.zeros((PITCHES, frames), np.float32)
        for pitch in self.pitches:
            sounding[pitch] = 1.0
        for frame, message in events:
            before = set(self.pitches)
            self._apply(message)
            for pitch in before - set(self.pitches):
                begun = onset[pitch, frame] > 0.0
                sounding[pitch, frame + 1 if begun else frame :] = 0.0
            if isinstance(message, NoteOn):
                onset[message.pitch, frame] = message.velocity / 127.0
                sounding[message.pitch, frame:] = 1.0
        return NoteFrames(onset, sounding)

    def _apply(self, message: Message) -> None:
        if isinstance(message, NoteOn):
            self._velocity[message.pitch] = message.velocity
            self._pedalled.discard(message.pitch)
        elif isinstance(message, NoteOff):
            if message.pitch in self._velocity:
                del self._velocity[message.pitch]
                if self._pedal:
                    self._pedalled.add(message.pitch)
        elif isinstance(message, Sustain):
            self._pedal = message.down
            if not message.down:
                self._pedalled.clear()
        elif isinstance(message, AllNotesOff):
            self._velocity.clear()
            self._pedalled.clear()
            self._pedal = False

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "keys": [[pitch, velocity] for pitch, velocity in sorted(self._velocity.items())],
            "pedalled": sorted(self._pedalled),
            "pedal": self._pedal,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> HeldNotes:
        """The notes of a JSON form made by `to_dict`."""
        notes = cls()
        keys, pedalled = values["keys"], values["pedalled"]
        assert isinstance(keys, list) and isinstance(pedalled, list)
        notes._velocity = {int(pitch): int(velocity) for pitch, velocity in keys}
        notes._pedalled = {int(pitch) for pitch in pedalled}
        notes._pedal = bool(values["pedal"])
        return notes
