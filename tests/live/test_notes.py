"""Keys and pedal become onset and sounding frames; no note is lost or left hanging."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.conditioning.notes import NoteFrames
from lmdm.live.messages import AllNotesOff, NoteOff, NoteOn, Sustain
from lmdm.live.notes import HeldNotes


def test_a_key_pressed_and_released_between_two_blocks_is_heard():
    notes = HeldNotes()
    frames = notes.block([(0, NoteOn(60, 64)), (0, NoteOff(60))], 4)
    assert frames.onset[60].tolist() == [pytest.approx(64 / 127), 0, 0, 0]
    assert frames.sounding[60].tolist() == [1, 0, 0, 0]
    assert notes.block([], 4).sounding.sum() == 0


def test_the_pedal_holds_what_is_released():
    notes = HeldNotes()
    notes.block([(0, NoteOn(60)), (1, Sustain(True)), (2, NoteOff(60))], 4)
    assert notes.block([], 4).sounding[60].tolist() == [1, 1, 1, 1]
    assert notes.block([(2, Sustain(False))], 4).sounding[60].tolist() == [1, 1, 0, 0]
    assert notes.pitches == ()


def test_striking_again_is_a_second_onset_of_a_sounding_note():
    notes = HeldNotes()
    frames = notes.block([(0, NoteOn(60, 127)), (2, NoteOn(60, 127))], 4)
    assert frames.onset[60].tolist() == [1, 0, 1, 0]
    assert frames.sounding[60].tolist() == [1, 1, 1, 1]


def test_all_notes_off_lifts_everything():
    notes = HeldNotes()
    notes.block([(0, Sustain(True)), (0, NoteOn(60)), (0, NoteOff(60)), (0, NoteOn(64))], 4)
    assert notes.block([(1, AllNotesOff())], 4).sounding.sum(axis=0).tolist() == [2, 0, 0, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(0, 127)),
        max_size=12,
        unique_by=lambda note: note[2],
    ),
    st.integers(1, 8),
)
def test_live_keys_agree_with_labelled_notes_whatever_the_block_length(notes, block):
    """Training reads note lists, playing reads keys: the model must see the same frames."""
    total = 64
    events = sorted(
        [(start, 1, NoteOn(pitch, 100)) for start, _, pitch in notes]
        + [(start + length, 0, NoteOff(pitch)) for start, length, pitch in notes],
        key=lambda event: event[:2],
    )
    held, onset, sounding = HeldNotes(), [], []
    for begin in range(0, total, block):
        inside = [(at - begin, m) for at, _, m in events if begin <= at < begin + block]
        frames = held.block(inside, block)
        onset.append(frames.onset)
        sounding.append(frames.sounding)
    labels = np.array([[s, s + n, p, 100] for s, n, p in notes], np.float64).reshape(-1, 4)
    expected = NoteFrames.from_notes(labels, 0, total)
    np.testing.assert_array_equal(np.concatenate(onset, 1)[:, :total], expected.onset)
    np.testing.assert_array_equal(np.concatenate(sounding, 1)[:, :total], expected.sounding)


def test_they_survive_json():
    notes = HeldNotes()
    notes.block([(0, NoteOn(60, 3)), (0, Sustain(True)), (0, NoteOn(62)), (0, NoteOff(62))], 4)
    again = HeldNotes.from_dict(json.loads(json.dumps(notes.to_dict())))
    assert (again.pitches, again.pedal) == ((60, 62), True)
    again.block([(0, Sustain(False))], 4)
    assert again.pitches == (60,)
