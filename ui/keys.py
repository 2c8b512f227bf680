"""Notes from the computer's keyboard and the mouse, and the promise that each ends. Pure; no Qt.

The letters lie as on many instruments: A W S E D F T G Y H U J K O L P are a piano's keys from C.

    >>> sent = []
    >>> keys = PlayedKeys(sent.append)
    >>> keys.press("letter A", 60, 100); keys.octave = 1; keys.release("letter A")
    >>> sent
    [NoteOn(pitch=60, velocity=100), NoteOff(pitch=60)]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lmdm.live.messages import Message, NoteOff, NoteOn

LETTERS = "AWSEDFTGYHUJKOLP"  # semitones 0 to 15 above the octave's C
LOWEST_OCTAVE, HIGHEST_OCTAVE = -1, 9  # octave 4 begins at middle C, pitch 60
DEFAULT_OCTAVE, DEFAULT_VELOCITY = 4, 100


def clamped(value: int, low: int, high: int) -> int:
    """The value, or the bound it lies beyond."""
    return min(max(value, low), high)


class PlayedKeys:
    """Remembers which source (a letter, the mouse) holds which pitch.

    A pitch held by two sources starts and ends once. A source that is let go ends the pitch it
    began, whatever the octave is by then.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._pitch_of: dict[object, int] = {}
        self._octave = DEFAULT_OCTAVE
        self.velocity = DEFAULT_VELOCITY

    @property
    def octave(self) -> int:
        """The octave in which the letter A plays its C."""
        return self._octave

    @octave.setter
    def octave(self, value: int) -> None:
        self._octave = clamped(value, LOWEST_OCTAVE, HIGHEST_OCTAVE - 1)

    @property
    def pitches(self) -> frozenset[int]:
        """Pitches held now."""
        return frozenset(self._pitch_of.values())

    def holds(self, source: object) -> bool:
        """Whether a source holds a pitch."""
        return source in self._pitch_of

    def letter_pitch(self, letter: str) -> int | None:
        """The pitch a letter plays in this octave, or None when it plays none."""
        place = LETTERS.find(letter.upper()) if len(letter) == 1 else -1
        pitch = 12 * (self._octave + 1) + place
        return pitch if place >= 0 and 0 <= pitch <= 127 else None

    def letter_of(self, pitch: int) -> str:
        """The letter that plays a pitch in this octave; empty when none does."""
        place = pitch - 12 * (self._octave + 1)
        return LETTERS[place] if 0 <= place < len(LETTERS) else ""

    def press(self, source: object, pitch: int, velocity: int | None = None) -> None:
        """The source plays a pitch; what it held before ends."""
        if self._pitch_of.get(source) == pitch:
            return
        self.release(source)
        fresh = pitch not in self.pitches
        self._pitch_of[source] = pitch
        if fresh:
            loudness = self.velocity if velocity is None else velocity
            self._send(NoteOn(pitch, clamped(loudness, 1, 127)))

    def release(self, source: object) -> None:
        """The source lets go."""
        pitch = self._pitch_of.pop(source, None)
        if pitch is not None and Counter(self._pitch_of.values())[pitch] == 0:
            self._send(NoteOff(pitch))

    def release_all(self) -> None:
        """Everything is let go: the window lost the keyboard, or the session ends."""
        for source in list(self._pitch_of):
            self.release(source)
