"""Held-out pieces and what they ask for: notes, beats, captions, and the real sound beside them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lmdm.live.clock import MusicalClock, TempoMark
from lmdm.live.messages import Message, NoteOff, NoteOn

SAMPLE_RATE = 44100
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A piece, or the beginning of one.

    notes: [n, 3] onset s, offset s, MIDI pitch, drums left out; beats: [n, 2] time s, beat in bar;
    audio: [S, 2] float32 at 44.1 kHz; chords: [n, 14] start s, end s, chroma C..B, where known.
    """

    name: str
    caption: str
    bpm: float
    drums: bool
    notes: Array
    beats: Array
    audio: Array
    chords: Array = field(default_factory=lambda: np.zeros((0, 14), np.float32))

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.audio) / SAMPLE_RATE

    def clock(self) -> MusicalClock:
        """A clock that runs through the piece's own beats; before and after, at their tempo."""
        return clock_of(self.beats, self.bpm)

    def events(self) -> list[tuple[int, Message]]:
        """The notes as control messages `(sample, message)`, in order.

        A pitch that several stems play sounds until the last of them lets go.
        """
        return note_events(self.notes)


def spans_within(rows: Array, start: float, end: float) -> Array:
    """Rows [n, 2 + ...] of start s, end s and more, cut to a stretch of time."""
    kept = rows[(rows[:, 1] > start) & (rows[:, 0] < end)].copy()
    kept[:, :2] = kept[:, :2].clip(start, end)
    return kept


def note_events(notes: Array) -> list[tuple[int, Message]]:
    """[n, 3] onset s, offset s, pitch -> `(sample, message)` in order; see `Piece.events`."""
    edges = [(round(float(on) * SAMPLE_RATE), 1, int(pitch)) for on, _, pitch in notes]
    edges += [(round(float(off) * SAMPLE_RATE), 0, int(pitch)) for _, off, pitch in notes]
    sounding: Counter[int] = Counter()
    events: list[tuple[int, Message]] = []
    for sample, down, pitch in sorted(edges):  # at one sample, keys go up before they go down
        sounding[pitch] += 1 if down else -1
        if down:
            events.append((sample, NoteOn(pitch, 90)))
        elif sounding[pitch] == 0:
            events.append((sample, NoteOff(pitch)))
    return events


def clock_of(beats: Array, bpm: float) -> MusicalClock:
    """beats [n, 2] = time s, beat in bar -> a clock with one tempo mark a beat.

    A piece without two beats gets a steady clock at `bpm`.
    """
    if len(beats) < 2:
        return MusicalClock.at_tempo(bpm)
    per_bar = int(beats[:, 1].max()) + 1
    gaps = np.diff(beats[:, 0])
    gaps = np.append(gaps, gaps[-1])
    marks = [
        TempoMark(round(float(time) * SAMPLE_RATE), float(beats[0, 1]) + index, 60.0 / float(gap))
        for index, (time, gap) in enumerate(zip(beats[:, 0], gaps, strict=True))
    ]
    return MusicalClock(tuple(marks), per_bar)


def later(piece: Piece, samples: int) -> Piece:
    """The piece from a sample on."""
    start = samples / SAMPLE_RATE
    rows, beats = piece.notes.copy(), piece.beats.copy()
    rows[:, :2] -= start
    rows = rows[rows[:, 1] > 0]
    rows[:, 0] = rows[:, 0].clip(0)
    beats[:, 0] -= start
    chords = spans_within(piece.chords, start, np.inf)
    chords[:, :2] -= start
    return replace(
        piece,
        notes=rows,
        beats=beats[beats[:, 0] >= 0],
        audio=piece.audio[samples:],
        chords=chords,
    )


def looped(piece: Piece, seconds: float) -> Piece:
    """The piece as long as `seconds`, cut, or repeated from its last whole bar on."""
    if piece.seconds >= seconds:
        return _cut(piece, seconds)
    bars = piece.beats[(piece.beats[:, 1] == 0) & (piece.beats[:, 0] < piece.seconds), 0]
    first, last = (float(bars[0]), float(bars[-1])) if len(bars) > 1 else (0.0, piece.seconds)
    start, period = round(first * SAMPLE_RATE), round((last - first) * SAMPLE_RATE)
    length = period / SAMPLE_RATE
    within = piece.notes[piece.notes[:, 0] < last].copy()
    within[:, 1] = np.minimum(within[:, 1], last)
    again = within[within[:, 0] >= first]
    turn = piece.beats[(piece.beats[:, 0] >= first) & (piece.beats[:, 0] < last)]
    repeats = int(np.ceil((seconds - first) / length))
    shift = np.array([length, length, 0], np.float32)
    notes = [within] + [again + n * shift for n in range(1, repeats)]
    later = np.r_[length, length, np.zeros(12)].astype(np.float32)
    chords = [spans_within(piece.chords, 0.0, last)]
    chords += [spans_within(piece.chords, first, last) + n * later for n in range(1, repeats)]
    beats = [piece.beats[piece.beats[:, 0] < last]]
    beats += [turn + n * np.array([length, 0], np.float32) for n in range(1, repeats)]
    audio = [piece.audio[: start + period]] + [piece.audio[start : start + period]] * (repeats - 1)
    whole = replace(
        piece,
        notes=np.concatenate(notes),
        chords=np.concatenate(chords),
        beats=np.concatenate(beats),
        audio=np.concatenate(audio),
    )
    return _cut(whole, seconds)


def _cut(piece: Piece, seconds: float) -> Piece:
    notes = piece.notes[piece.notes[:, 0] < seconds].copy()
    notes[:, 1] = np.minimum(notes[:, 1], seconds)
    audio = piece.audio[: round(seconds * SAMPLE_RATE)]
    return replace(piece, notes=notes, audio=audio, chords=spans_within(piece.chords, 0.0, seconds))
