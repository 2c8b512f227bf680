"""How well a sound follows notes: frame and onset scores, their chance level and their ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate.transcribe import FRAME_THRESHOLD, PITCHES, Transcription

FRAME_SECONDS = 2048 / 44100  # a latent frame
ONSET_TOLERANCE = 0.07  # s

Array = NDArray[np.float32]
Roll = NDArray[np.bool_]


@dataclass(frozen=True)
class Match:
    """Counts of what was found, what was asked and what was both; they add up over pieces."""

    both: int = 0
    asked: int = 0
    found: int = 0

    def __add__(self, other: Match) -> Match:
        return Match(self.both + other.both, self.asked + other.asked, self.found + other.found)

    @property
    def precision(self) -> float:
        """Share of what was found that was asked; 0 where nothing was found."""
        return self.both / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what was asked that was found; 0 where nothing was asked."""
        return self.both / self.asked if self.asked else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both sides are empty."""
        total = self.asked + self.found
        return 2 * self.both / total if total else 0.0


@dataclass(frozen=True)
class NoteScores:
    """Agreement of notes asked and heard.

    chroma, pitch: of 46-ms frames, by pitch class and by pitch; onset: of notes of the same pitch
    that begin within 70 ms of each other.
    """

    chroma: Match = Match()
    pitch: Match = Match()
    onset: Match = Match()

    def __add__(self, other: NoteScores) -> NoteScores:
        return NoteScores(
            self.chroma + other.chroma, self.pitch + other.pitch, self.onset + other.onset
        )


def score(asked: Array, heard: Transcription, seconds: float) -> NoteScores:
    """asked: notes [n, 3] onset s, offset s, pitch; both are compared over the first `seconds`."""
    frames = int(seconds / FRAME_SECONDS)
    want, got = asked_roll(asked, frames), heard_roll(heard, frames)
    return NoteScores(
        match_frames(chroma_of(want), chroma_of(got)),
        match_frames(want, got),
        match_onsets(asked[asked[:, 0] < seconds], heard.notes[heard.notes[:, 0] < seconds]),
    )


def asked_roll(notes: Array, frames: int) -> Roll:
    """Notes [n, 3] -> [frames, 128]: the pitches that sound in at least half of each frame."""
    covered = np.zeros((frames, PITCHES), np.float32)
    edges = np.arange(frames + 1) * FRAME_SECONDS
    for onset, offset, pitch in notes:
        inside = np.minimum(offset, edges[1:]) - np.maximum(onset, edges[:-1])
        covered[:, int(pitch)] += np.maximum(inside, 0.0)
    return covered >= 0.5 * FRAME_SECONDS


def heard_roll(heard: Transcription, frames: int) -> Roll:
    """[frames, 128]: where the judge's pitch posterior, averaged over the frame, is high."""
    times = np.arange(len(heard.pitch)) / heard.frame_rate
    which = (times / FRAME_SECONDS).astype(int)
    inside = which < frames
    total = np.zeros((frames, PITCHES), np.float32)
    np.add.at(total, which[inside], heard.pitch[inside])
    count = np.bincount(which[inside], minlength=frames)[:frames]
    return np.asarray(total / np.maximum(count, 1)[:, None] >= FRAME_THRESHOLD)


def chroma_of(roll: Roll) -> Roll:
    """[frames, 128] -> [frames, 12]: pitch classes."""
    folded = np.zeros((len(roll), 12), bool)
    for pitch in range(roll.shape[1]):
        folded[:, pitch % 12] |= roll[:, pitch]
    return folded


def match_frames(asked: Roll, found: Roll) -> Match:
    """Counts over all entries of two equal shapes."""
    return Match(int((asked & found).sum()), int(asked.sum()), int(found.sum()))


def match_onsets(asked: Array, found: Array, tolerance: float = ONSET_TOLERANCE) -> Match:
    """One-to-one matches of notes of equal pitch with onsets within `tolerance` s.

    Going through both in order of time is optimal here: all windows are equally wide.
    """
    both = 0
    for pitch in np.unique(asked[:, 2]) if len(asked) else []:
        wanted = np.sort(asked[asked[:, 2] == pitch, 0])
        heard = np.sort(found[found[:, 2] == pitch, 0])
        i = j = 0
        while i < len(wanted) and j < len(heard):
            if abs(wanted[i] - heard[j]) <= tolerance:
                both, i, j = both + 1, i + 1, j + 1
            elif wanted[i] < heard[j]:
                i += 1
            else:
                j += 1
    return Match(both, len(asked), len(found))


def shuffled(notes: Array, seconds: float, generator: np.random.Generator) -> Array:
    """The same notes turned by 1..11 semitones and rotated in time: what chance would ask for."""
    out = notes.copy()
    turn = int(generator.integers(1, 12))
    out[:, 2] += turn if turn <= 6 else turn - 12
    out[:, 2] = out[:, 2].clip(0, PITCHES - 1)
    shift = generator.uniform(0.1, 0.9) * seconds
    length = out[:, 1] - out[:, 0]
    out[:, 0] = (out[:, 0] + shift) % seconds
    out[:, 1] = np.minimum(out[:, 0] + length, seconds)
    return out


def chance(
    asked: Array, heard: Transcription, seconds: float, draws: int = 8, seed: int = 0
) -> NoteScores:
    """The scores of `draws` shuffles of the notes against the same sound, added up."""
    generator = np.random.default_rng(seed)
    total = NoteScores()
    for _ in range(draws):
        total += score(shuffled(asked, seconds, generator), heard, seconds)
    return total
