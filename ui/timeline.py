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


@dataclass(frozen=True)
class Mark:
    """Something that happened at a column."""

    column: float
    lane: Lane
    words: str = ""


class Timeline:
    """The play head (`head`, a column), what was received, marks, and bars that went by."""

    def __init__(self) -> None:
        self.received = 0  # columns of sound that came
        self.head = 0.0  # the column that is heard
        self.marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self.bars: deque[tuple[float, bool]] = deque(maxlen=MOST_MARKS)  # column, is a downbeat
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

    def mark(self, lane: Lane, words: str = "", ahead_seconds: float = 0.0) -> None:
        """Something lands `ahead_seconds` after what is heard now."""
        self.marks.append(Mark(self.head + ahead_seconds * COLUMNS_PER_SECOND, lane, words))

    def pass_beat(self, beat: float, bpm: float, beats_per_bar: int) -> None:
        """The beat at the play head now; beats passed since the last call leave their lines."""
        if beat < self._beat or beat - self._beat > 2 * beats_per_bar:  # set anew: no lines between
            self._beat = beat
            return
        for whole in range(math.floor(self._beat) + 1, math.floor(beat) + 1):
            since = (beat - whole) * 60.0 / max(bpm, 1.0)
            column = self.head - since * COLUMNS_PER_SECOND
            self.bars.append((column, whole % beats_per_bar == 0))
        self._beat = beat
