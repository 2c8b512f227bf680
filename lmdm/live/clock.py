"""The musical clock: where in the bar each sample of the stream lies.

The clock is a map from sample position to beats, made of tempo marks. It knows no wall time: the
stream's own sample count drives it, so live, offline and replayed sessions agree exactly.

    >>> clock = MusicalClock.at_tempo(120.0)
    >>> clock.beat(44100)
    2.0
    >>> clock.with_tempo(60.0, sample=44100).beat(88200)
    3.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

SAMPLE_RATE = 44100


@dataclass(frozen=True)
class TempoMark:
    """From `sample` on, the music is at `beat` and moves at `bpm` beats a minute."""

    sample: int
    beat: float
    bpm: float


@dataclass(frozen=True)
class MusicalClock:
    """Tempo marks in order of sample position, and the beats of a bar.

    A position before the first mark counts backwards from it.
    """

    marks: tuple[TempoMark, ...]
    beats_per_bar: int = 4

    @classmethod
    def at_tempo(cls, bpm: float, beats_per_bar: int = 4) -> MusicalClock:
        """A clock whose first downbeat is sample 0."""
        return cls((TempoMark(0, 0.0, float(bpm)),), beats_per_bar)

    def _mark(self, sample: float) -> TempoMark:
        chosen = self.marks[0]
        for mark in self.marks:
            if mark.sample > sample:
                break
            chosen = mark
        return chosen

    def bpm(self, sample: float) -> float:
        """Tempo in beats a minute at a sample position."""
        return self._mark(sample).bpm

    def beat(self, sample: float) -> float:
        """Beats since the first downbeat at a sample position."""
        mark = self._mark(sample)
        return mark.beat + (sample - mark.sample) * mark.bpm / (60.0 * SAMPLE_RATE)

    def beats(self, samples: Sequence[float]) -> list[float]:
        """`beat` of each position."""
        return [self.beat(sample) for sample in samples]

    def with_tempo(self, bpm: float, sample: int) -> MusicalClock:
        """The clock with a new tempo from `sample` on; the beat runs on without a jump."""
        return self._with(TempoMark(sample, self.beat(sample), float(bpm)))

    def with_beat(self, beat: float, sample: int) -> MusicalClock:
        """The clock set to a musical position at `sample`; the tempo stays."""
        return self._with(TempoMark(sample, float(beat), self.bpm(sample)))

    def _with(self, mark: TempoMark) -> MusicalClock:
        earlier = tuple(each for each in self.marks if each.sample < mark.sample)
        return replace(self, marks=(*earlier, mark))

    def since(self, sample: int) -> MusicalClock:
        """The clock without the marks that no position from `sample` on needs."""
        first = self._mark(sample)
        return replace(self, marks=tuple(m for m in self.marks if m.sample >= first.sample))

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        marks = [[mark.sample, mark.beat, mark.bpm] for mark in self.marks]
        return {"marks": marks, "beats_per_bar": self.beats_per_bar}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> MusicalClock:
        """The clock of a JSON form made by `to_dict`."""
        marks = values["marks"]
        beats_per_bar = values["beats_per_bar"]
        assert isinstance(marks, list) and isinstance(beats_per_bar, int)
        return cls(tuple(TempoMark(int(s), float(b), float(t)) for s, b, t in marks), beats_per_bar)
