"""A score in beats, which the arrangers write, and its performance in seconds, to be rendered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.recipes.starter.palette import Instrument

Array = NDArray[np.float32]
LEAD_IN_SECONDS = 0.12
TAIL_SECONDS = 1.6
DRUM_HIT_SECONDS = 0.15
MINIMUM_NOTE_SECONDS = 0.04


@dataclass(frozen=True)
class Note:
    """Start and length in beats, MIDI pitch, velocity 1–127."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass
class Part:
    """One instrument's notes. `level_db` is the part's loudness beside the others."""

    instrument: Instrument
    level_db: float = 0.0
    notes: list[Note] = field(default_factory=list)

    def add(self, start: float, length: float, pitch: int, velocity: float) -> None:
        """Append a note, folded by octaves into the instrument's range."""
        if not self.instrument.is_drum:
            while pitch < self.instrument.low:
                pitch += 12
            while pitch > self.instrument.high:
                pitch -= 12
        self.notes.append(Note(start, length, pitch, int(min(127, max(1, round(velocity))))))


@dataclass(frozen=True)
class ChordSpan:
    """A harmony from `start` to `end` beats, as pitch classes 0–11."""

    start: float
    end: float
    pitch_classes: frozenset[int]


@dataclass
class Score:
    """A whole piece in beats of which `bpm` go to a minute.

    swing: where the off-beat eighth falls, 0.5 (straight) to 0.67;
    looseness: scale of the errors of timing;
    beat_grid: (place, beat in bar) of each beat, where the metre changes or counts in other units;
    sections: (name, first beat) of the form's parts, where there is one.
    """

    style: str
    bpm: float
    key: str
    beats_per_bar: int
    parts: list[Part]
    chords: list[ChordSpan]
    captions: list[str]
    swing: float = 0.5
    looseness: float = 1.0
    beat_grid: list[tuple[float, int]] | None = None
    sections: list[tuple[str, float]] = field(default_factory=list)
    source: str = "procedural arranger"
    licence: str = "CC0-1.0 (composition)"


@dataclass(frozen=True)
class Performance:
    """A piece in seconds.

    notes [n,5] onset, offset, pitch, velocity, stem index; beats [n,2] time, beat in bar;
    chords [n,14] start, end, chroma[12] of 0/1; `seconds` is the length with the tail.
    """

    notes: Array
    beats: Array
    chords: Array
    instruments: tuple[Instrument, ...]
    levels_db: tuple[float, ...]
    seconds: float


def swung(beat: float, swing: float) -> float:
    """The beat's place when the off-beat eighth is moved from 0.5 to `swing`."""
    whole, part = divmod(beat, 1.0)
    bent = part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing)
    return float(whole + bent)


def without_overlaps(notes: Array) -> Array:
    """Notes by onset, each ended where the same pitch of the same stem is struck again."""
    order = np.lexsort((notes[:, 2], notes[:, 0]))
    ordered = notes[order].copy()
    keep = np.ones(len(ordered), dtype=bool)
    sounding: dict[tuple[int, int], int] = {}
    for index, (onset, _, pitch, _, stem) in enumerate(ordered):
        voice = (int(pitch), int(stem))
        before = sounding.get(voice)
        if before is not None and ordered[before, 1] > onset:
            if onset - ordered[before, 0] < MINIMUM_NOTE_SECONDS:
                keep[index] = False
                continue
            ordered[before, 1] = onset
        sounding[voice] = index
    return ordered[keep]


def heard_chords(parts: Sequence[Part], total: float, step: float = 2.0) -> list[ChordSpan]:
    """Spans of `step` beats up to `total` with the pitch classes that sound in each.

    Notes that only brush a span (less than half a beat of a longer note) are left out.
    """
    spans = []
    for index in range(int(np.ceil(total / step - 1e-6))):
        start, end = index * step, min((index + 1) * step, total)
        classes = set()
        for part in parts:
            for note in part.notes:
                shared = min(note.start + note.length, end) - max(note.start, start)
                if (
                    not part.instrument.is_drum
                    and shared > 0
                    and shared >= min(0.5, note.length - 1e-6)
                ):
                    classes.add(note.pitch % 12)
        if classes:
            spans.append(ChordSpan(start, end, frozenset(classes)))
    return spans


def chord_rows(spans: Iterable[ChordSpan], second_of: float) -> Array:
    """Chord spans in beats → [n,14] rows in seconds; `second_of` is the length of a beat."""
    rows = []
    for span in spans:
        chroma = [1.0 if pitch_class in span.pitch_classes else 0.0 for pitch_class in range(12)]
        start = LEAD_IN_SECONDS + span.start * second_of
        rows.append([start, LEAD_IN_SECONDS + span.end * second_of, *chroma])
    return np.asarray(rows, dtype=np.float32).reshape(-1, 14)


def perform(score: Score, generator: np.random.Generator) -> Performance:
    """Play a score as a person would, with small errors of time (±30 ms at most) and of velocity.

    The beat itself stays exact, so that beat labels are regular at the score's tempo.
    """
    beat_seconds = 60.0 / score.bpm
    rows = []
    for stem, part in enumerate(score.parts):
        tightness = 0.004 if part.instrument.is_drum else 0.008
        lag = generator.normal(0.0, 0.003)
        for note in part.notes:
            error = generator.normal(0.0, tightness * score.looseness) + lag
            onset = swung(note.start, score.swing) * beat_seconds + float(
                np.clip(error, -0.03, 0.03)
            )
            onset = max(0.0, LEAD_IN_SECONDS + onset)
            if part.instrument.is_drum:
                offset = onset + DRUM_HIT_SECONDS
            else:
                end = swung(note.start + note.length, score.swing) * beat_seconds + LEAD_IN_SECONDS
                offset = max(end, onset + MINIMUM_NOTE_SECONDS)
            velocity = np.clip(round(note.velocity + generator.normal(0.0, 3.5)), 1, 127)
            rows.append([onset, offset, note.pitch, velocity, stem])
    notes = without_overlaps(np.asarray(rows, dtype=np.float32).reshape(-1, 5))
    grid = score.beat_grid
    if grid is None:
        last_beat = max(note.start + note.length for part in score.parts for note in part.notes)
        grid = [(float(i), i % score.beats_per_bar) for i in range(int(np.ceil(last_beat - 1e-6)))]
    placed = [[LEAD_IN_SECONDS + place * beat_seconds, count] for place, count in grid]
    beats = np.asarray(placed, dtype=np.float32).reshape(-1, 2)
    chords = chord_rows(score.chords, beat_seconds)
    end = max(float(notes[:, 1].max()), float(chords[:, 1].max()) if len(chords) else 0.0)
    return Performance(
        notes=notes,
        beats=beats,
        chords=chords,
        instruments=tuple(part.instrument for part in score.parts),
        levels_db=tuple(part.level_db for part in score.parts),
        seconds=end + TAIL_SECONDS,
    )
