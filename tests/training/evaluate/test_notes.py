import numpy as np
import pytest

from training.evaluate import notes
from training.evaluate.notes import FRAME_SECONDS, Match, NoteScores
from training.evaluate.transcribe import PITCHES, Transcription


def rows(*values):
    return np.array(values, np.float32).reshape(-1, 3)


def perfect(asked, seconds):
    """A transcription that heard exactly the notes."""
    rate = 86.1328125
    pitch = np.zeros((int(seconds * rate), PITCHES), np.float32)
    for onset, offset, key in asked:
        pitch[round(onset * rate) : round(offset * rate), int(key)] = 1.0
    return Transcription("perfect", rate, pitch, np.zeros_like(pitch), asked)


def test_f1_by_hand():
    assert Match(both=2, asked=4, found=3).f1 == pytest.approx(4 / 7)
    assert Match(2, 4, 3).precision == pytest.approx(2 / 3)
    assert Match(2, 4, 3).recall == pytest.approx(1 / 2)
    assert Match().f1 == 0.0
    assert Match(0, 5, 0).f1 == 0.0


def test_matches_add_up_over_pieces():
    total = NoteScores(chroma=Match(1, 2, 3)) + NoteScores(chroma=Match(1, 1, 1))
    assert total.chroma == Match(2, 3, 4)


def test_onsets_match_one_to_one_within_70_ms():
    asked = rows((1.0, 1.5, 60), (2.0, 2.5, 60), (3.0, 3.5, 64))
    found = rows((1.06, 1.2, 60), (1.01, 1.2, 60), (2.08, 2.3, 60), (3.0, 3.2, 65))
    assert notes.match_onsets(asked, found) == Match(both=1, asked=3, found=4)


def test_onset_matching_is_as_large_as_can_be():
    # Nearest first would pair 1.05 with 1.06 and leave both ends alone.
    asked = rows((1.00, 2, 60), (1.05, 2, 60))
    found = rows((1.06, 2, 60), (1.11, 2, 60))
    assert notes.match_onsets(asked, found).both == 2


def test_asked_roll_takes_frames_that_a_note_fills_at_least_half():
    roll = notes.asked_roll(rows((0.4 * FRAME_SECONDS, 2.6 * FRAME_SECONDS, 60)), 4)
    assert roll[:, 60].tolist() == [True, True, True, False]
    assert roll.sum() == 3


def test_repeated_short_notes_fill_a_frame_together():
    f = FRAME_SECONDS
    roll = notes.asked_roll(rows((0, 0.3 * f, 60), (0.5 * f, 0.8 * f, 60)), 1)
    assert roll[0, 60]


def test_chroma_folds_octaves():
    roll = np.zeros((1, 128), bool)
    roll[0, [0, 12, 67]] = True
    assert np.flatnonzero(notes.chroma_of(roll)[0]).tolist() == [0, 7]


def test_perfect_hearing_scores_one_and_shuffles_score_near_chance():
    generator = np.random.default_rng(3)
    starts = np.arange(0.0, 12.0, 0.25)
    keys = generator.integers(48, 84, len(starts))
    asked = np.stack([starts, starts + 0.25, keys], axis=1).astype(np.float32)
    heard = perfect(asked, 12.0)
    scores = notes.score(asked, heard, 12.0)
    # Frames at a change of note may fall to either side.
    assert scores.chroma.f1 > 0.9
    assert scores.pitch.f1 > 0.9
    assert scores.onset.f1 == 1.0
    by_chance = notes.chance(asked, heard, 12.0, draws=16)
    assert by_chance.chroma.f1 < 0.25  # one of twelve pitch classes at a time
    assert by_chance.onset.f1 < 0.2


def test_shuffled_notes_keep_their_number_and_lie_inside():
    asked = rows((0.5, 1.0, 60), (9.0, 9.9, 127))
    out = notes.shuffled(asked, 10.0, np.random.default_rng(0))
    assert len(out) == 2
    assert (out[:, 0] >= 0).all() and (out[:, 1] <= 10.0).all()
    assert (out[:, 1] >= out[:, 0]).all()
    assert (out[:, 2] % 12 != asked[:, 2] % 12)[0]
    assert asked[0, 2] == 60  # the original is left as it was


def test_chance_is_the_same_every_time():
    asked = rows((0.5, 1.0, 60), (2.0, 2.5, 62))
    heard = perfect(asked, 4.0)
    assert notes.chance(asked, heard, 4.0) == notes.chance(asked, heard, 4.0)
