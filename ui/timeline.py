"""Where in the picture of the sound things lie: a play head that moves evenly, marks, and beats.

The sound comes in uneven pieces; the play head follows it at an even pace and is gently pulled to
where the ear is, which is behind what was handed to the device by the device's latency. Columns
are counted from the beginning of the session; `COLUMNS_PER_SECOND` of them are a second.

Pure; no Qt.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from lmdm.live.messages import Lane
from ui.spectrogram import HOP, SAMPLE_RATE

COLUMNS_PER_SECOND = SAMPLE_RATE / HOP
PULL = 0.06  # of the distance to where the ear is, a frame
JUMP_COLUMNS = 45.0  # a play head further off than this is put there at once
MOST_MARKS = 256
GESTURE_COLUMNS = 24.0  # marks of one control no further apart than this are one


@dataclass(frozen=True)
class Mark:
    """Something that happened at a column."""

    column: float
    lane: Lane
    words: str = ""
    kind: str = ""  # of the message


class Timeline:
    """The play head (`head`, a column), what was received, and marks."""

    def __init__(self) -> None:
        self.received = 0  # columns of sound that came
        self.head = 0.0  # the column that is heard
        self.marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._beat = 0.0

    def receive(self, columns: int) -> None:
        """So many more columns of sound came."""
        self.received += columns

    def advance(self, seconds: float, late_ms: float) -> None:
        """Time passes; `late_ms` is how long what came needs to reach the ear."""
        ear = max(0.0, self.received - late_ms / 1000 * COLUMNS_PER_SECOND)
        ahead = self.head + seconds * COLUMNS_PER_SECOND
        if abs(ear - ahead) > JUMP_COLUMNS:
            self.head = ear
        else:
            self.head = max(self.head, min(ahead + PULL * (ear - ahead), float(self.received)))

    def mark(self, mark: Mark) -> None:
        """Something lands. A control that is turned on and on keeps its newest mark only."""
        for index in range(len(self.marks) - 1, -1, -1):
            other = self.marks[index]
            if abs(mark.column - other.column) > GESTURE_COLUMNS:
                break
            if other.kind == mark.kind:
                del self.marks[index]
                break
        self.marks.append(mark)

    def column_of(self, seconds_ahead: float) -> float:
        """The column that will be heard so many seconds from now."""
        return self.head + seconds_ahead * COLUMNS_PER_SECOND

    def pass_beat(self, beat: float, bpm: float, beats_per_bar: int) -> list[tuple[int, bool]]:
        """The beat at the play head now: column of each beat since the last call, and whether it
        was a downbeat.
        """
        before, self._beat = self._beat, beat
        if beat < before or beat - before > 2 * beats_per_bar:  # set anew: nothing between
            return []
        passed = []
        for whole in range(math.floor(before) + 1, math.floor(beat) + 1):
            since = (beat - whole) * 60.0 / max(bpm, 1.0)
            passed.append((round(self.column_of(-since)), whole % beats_per_bar == 0))
        return passed
