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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

SAMPLE_RATE = 44100
EPSILON = 1e-6  # beats: a boundary this near is the one we are on


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
    bars_per_phrase: int = 8

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

    def sample(self, beat: float, since: int = 0) -> int:
        """The first position from `since` on whose beat is not below `beat`."""
        for mark, after in zip(self.marks, (*self.marks[1:], None), strict=True):
            reached = mark.sample + (beat - mark.beat) * 60.0 * SAMPLE_RATE / mark.bpm
            place = max(since, mark.sample if mark is not self.marks[0] else since, reached)
            if after is None or place < after.sample:
                return math.ceil(place - EPSILON)
        raise AssertionError("the last mark has no end")

    def boundary(self, sample: int, kind: str) -> float:
        """The first beat at or after a position that begins a `beat`, `bar` or `phrase`."""
        bar = self.beats_per_bar
        length = {"beat": 1, "bar": bar, "phrase": bar * self.bars_per_phrase}[kind]
        return length * math.ceil((self.beat(sample) - EPSILON) / length)

    def with_tempo(self, bpm: float, sample: int) -> MusicalClock:
        """The clock with a new tempo from `sample` on; the beat runs on without a jump."""
        return self._with(TempoMark(sample, self.beat(sample), float(bpm)))

    def with_beat(self, beat: float, sample: int) -> MusicalClock:
        """The clock set to a musical position at `sample`; the tempo stays."""
        return self._with(TempoMark(sample, float(beat), self.bpm(sample)))

    def with_both(self, bpm: float, beat: float, sample: int) -> MusicalClock:
        """The clock set to a tempo and a musical position at `sample`."""
        return self._with(TempoMark(sample, float(beat), float(bpm)))

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
        return {
            "marks": marks,
            "beats_per_bar": self.beats_per_bar,
            "bars_per_phrase": self.bars_per_phrase,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> MusicalClock:
        """The clock of a JSON form made by `to_dict`."""
        marks, bar, phrase = (
            values[name] for name in ("marks", "beats_per_bar", "bars_per_phrase")
        )
        assert isinstance(marks, list) and isinstance(bar, int) and isinstance(phrase, int)
        return cls(tuple(TempoMark(int(s), float(b), float(t)) for s, b, t in marks), bar, phrase)
