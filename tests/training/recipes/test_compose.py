"""Laws of the composed pieces: reproducible, inside their own time, true to their labels."""

from __future__ import annotations

import numpy as np
import pytest

from training.recipes.starter.corpus import PLAYER_SHARE, compose
from training.recipes.starter.harmony import MODES, Chord, Key, degree_chord, voicing
from training.recipes.starter.score import LEAD_IN_SECONDS, Performance, Score, perform, swung
from training.recipes.starter.store import split_of
from training.recipes.starter.styles import STYLES, arranged

PIECES = range(24)


def piece(index: int) -> tuple[Score, Performance]:
    score, generator = compose(index, seed=7)
    return score, perform(score, generator)


@pytest.mark.parametrize("index", PIECES)
def test_the_same_seed_makes_the_same_piece(index: int) -> None:
    (score, performance), (again, performed_again) = piece(index), piece(index)
    assert score.captions == again.captions
    np.testing.assert_array_equal(performance.notes, performed_again.notes)
    np.testing.assert_array_equal(performance.chords, performed_again.chords)


def test_another_seed_makes_another_piece() -> None:
    first, second = (perform(*compose(3, seed)) for seed in (7, 8))
    assert not np.array_equal(first.notes, second.notes)


@pytest.mark.parametrize("index", PIECES)
def test_labels_lie_inside_the_piece(index: int) -> None:
    score, performance = piece(index)
    notes, beats, chords = performance.notes, performance.beats, performance.chords
    assert 40.0 <= performance.seconds <= 75.0
    assert notes.shape[1:] == (5,)
    assert beats.shape[1:] == (2,)
    assert chords.shape[1:] == (14,)
    assert notes[:, 0].min() >= 0.0
    assert (notes[:, 1] > notes[:, 0]).all()
    assert notes[:, 1].max() < performance.seconds
    assert ((notes[:, 2] >= 0) & (notes[:, 2] <= 127)).all()
    assert ((notes[:, 3] >= 1) & (notes[:, 3] <= 127)).all()
    assert set(notes[:, 4].astype(int)) == set(range(len(score.parts)))
    assert (chords[:, 1] > chords[:, 0]).all()
    assert chords[:, 1].max() < performance.seconds
    assert len(set(score.captions)) >= 4


@pytest.mark.parametrize("index", PIECES)
def test_beats_are_regular_at_the_tempo(index: int) -> None:
    score, performance = piece(index)
    np.testing.assert_allclose(np.diff(performance.beats[:, 0]), 60.0 / score.bpm, atol=1e-4)
    counts = performance.beats[:, 1].astype(int)
    np.testing.assert_array_equal(counts, np.arange(len(counts)) % score.beats_per_bar)


@pytest.mark.parametrize("index", PIECES)
def test_a_pitch_sounds_once_at_a_time_in_a_stem(index: int) -> None:
    notes = piece(index)[1].notes
    for stem, pitch in {(int(n[4]), int(n[2])) for n in notes}:
        same = notes[(notes[:, 4] == stem) & (notes[:, 2] == pitch)]
        assert (same[1:, 0] >= same[:-1, 1] - 0.12).all()
        tonal = [not score_part.is_drum for score_part in piece(index)[1].instruments][stem]
        if tonal:
            assert (same[1:, 0] >= same[:-1, 1] - 1e-4).all()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_most_of_the_sound_belongs_to_the_labelled_chord(style: object) -> None:
    score = arranged(style, np.random.default_rng(5))  # type: ignore[arg-type]
    within = total = 0.0
    for part in score.parts:
        if part.instrument.is_drum:
            continue
        for note in part.notes:
            span = next(s for s in score.chords if s.start <= note.start + 1e-6 < s.end)
            total += note.length
            within += note.length * (note.pitch % 12 in span.pitch_classes)
    assert within / total > 0.6  # chance would be about a third


def test_a_players_chords_are_exactly_what_sounds() -> None:
    players = [score for score, _ in map(piece, PIECES) if score.style == "player"]
    assert players
    for score in players:
        hand = score.parts[0]
        for span in score.chords:
            sounding = {
                n.pitch % 12
                for n in hand.notes
                if n.start < span.end and n.start + n.length > span.start
            }
            assert span.pitch_classes <= sounding


def test_players_reach_low_and_high_and_make_their_share() -> None:
    scores = [compose(index, seed=7)[0] for index in range(150)]
    players = [score for score in scores if score.style == "player"]
    assert abs(len(players) / len(scores) - PLAYER_SHARE) < 0.12
    pitches = {note.pitch for score in players for note in score.parts[0].notes}
    assert set(range(30, 99)) <= pitches


def test_notes_stay_in_the_range_of_their_instrument() -> None:
    for score, _ in map(piece, PIECES):
        for part in score.parts:
            if not part.instrument.is_drum:
                pitches = [note.pitch for note in part.notes]
                assert part.instrument.low <= min(pitches)
                assert max(pitches) <= part.instrument.high


@pytest.mark.parametrize("mode", MODES)
def test_diatonic_chords_stay_in_the_key(mode: str) -> None:
    key = Key(4, mode)
    for degree in range(7):
        outside = degree_chord(key, degree).pitch_classes - key.pitch_classes
        raised_leading_note = {(key.tonic + 11) % 12} if mode == "minor" and degree == 4 else set()
        assert outside == raised_leading_note


def test_a_voicing_has_the_chords_notes_and_moves_little() -> None:
    first = voicing(Chord(0, (0, 4, 7)), None, 60)
    second = voicing(Chord(7, (0, 4, 7)), first, 60)
    assert {p % 12 for p in second} == {7, 11, 2}
    assert max(min(abs(p - q) for q in first) for p in second) <= 2


def test_swing_moves_the_off_beat_only() -> None:
    assert swung(3.0, 0.66) == 3.0
    assert swung(3.5, 0.66) == pytest.approx(3.66)
    assert swung(3.999, 0.66) < 4.0
    assert swung(2.25, 0.5) == pytest.approx(2.25)


def test_humanised_onsets_stay_near_the_written_ones() -> None:
    score, performance = piece(1)
    written = sorted(
        LEAD_IN_SECONDS + swung(n.start, score.swing) * 60.0 / score.bpm
        for part in score.parts
        for n in part.notes
    )
    nearest = np.abs(performance.notes[:, :1] - np.asarray(written)[None]).min(axis=1)
    assert nearest.max() <= 0.031


def test_splits_are_by_name_and_near_their_shares() -> None:
    splits = [split_of(f"starter-1-{index:05d}") for index in range(4000)]
    assert splits[17] == split_of("starter-1-00017")
    assert abs(splits.count("train") / 4000 - 0.92) < 0.02
    assert abs(splits.count("test") / 4000 - 0.04) < 0.015
