import json

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from lmdm.live.messages import NoteOff, NoteOn
from training.data.layouts.registry import tracks_of
from training.evaluate import pieces
from training.evaluate.sources import piece_of


@pytest.fixture
def folder(tmp_path):
    """A piece of 5 s in 4/4 at 120, bar lines at 0.5 + 2 n s, with drums."""
    path = tmp_path / "one"
    path.mkdir()
    meta = {
        "style": "player", "captions": ["short", "felt piano"], "bpm": 120.0, "key": "C",
        "split": "test",
        "stems": [
            {"name": "p", "program": 0, "family": "piano", "is_drum": False},
            {"name": "d", "program": 0, "family": "drums", "is_drum": True},
        ],
    }  # fmt: skip
    (path / "piece.json").write_text(json.dumps(meta))
    times = 0.5 + 0.5 * np.arange(9)
    beats = np.stack([times, np.arange(9) % 4], axis=1).astype(np.float32)
    notes = [[0.5, 1.0, 60, 90, 0], [2.0, 4.8, 64, 90, 0], [1.0, 1.1, 36, 90, 1]]
    labels = {"notes": np.array(notes, np.float32), "beats": beats, "chords": np.zeros((0, 14))}
    save_file(labels, path / "labels.safetensors")
    soundfile.write(path / "mix.flac", np.zeros((5 * 44100, 2)), 44100)
    return path


def read(folder):
    return piece_of(tracks_of(folder.parent)[0][0])


def test_drums_and_their_notes_are_apart(folder):
    piece = read(folder)
    assert piece.notes.tolist() == [[0.5, 1.0, 60.0], [2.0, pytest.approx(4.8), 64.0]]
    assert piece.drums
    assert piece.caption == "felt piano"
    assert piece.seconds == 5.0


def test_a_piece_from_later_on(folder):
    piece = pieces.later(read(folder), round(0.75 * 44100))
    assert piece.notes.tolist() == [[0.0, 0.25, 60.0], [1.25, pytest.approx(4.05), 64.0]]
    assert piece.beats[0].tolist() == [0.25, 1.0]
    assert piece.seconds == 4.25


def test_the_clock_strikes_where_the_piece_does(folder):
    piece = read(folder)
    clock = piece.clock()
    assert clock.beats_per_bar == 4
    places = (piece.beats[:, 0] * 44100).tolist()
    assert clock.beats(places) == pytest.approx(range(9))
    assert clock.beat(0) == pytest.approx(-1.0)


def test_notes_become_messages_and_shared_pitches_hold():
    notes = np.array([[0, 1, 60], [0.5, 2, 60], [2, 3, 60]], np.float32)
    events = [(sample / 44100, type(m)) for sample, m in pieces.note_events(notes)]
    assert events == [(0, NoteOn), (0.5, NoteOn), (2, NoteOff), (2, NoteOn), (3, NoteOff)]


def test_looping_repeats_whole_bars(folder):
    long = pieces.looped(read(folder), 9.0)
    assert long.seconds == pytest.approx(9.0)
    assert long.notes[:, 0].tolist() == pytest.approx([0.5, 2.0, 4.5, 6.0, 8.5])
    assert long.notes[1, 1] == pytest.approx(4.5)  # cut at the bar line where it turns back
    assert np.diff(long.beats[:, 0]) == pytest.approx(0.5)
    assert (np.diff(long.beats[:, 1]) % 4 == 1).all()


def test_a_longer_piece_is_cut(folder):
    short = pieces.looped(read(folder), 3.0)
    assert short.seconds == 3.0
    assert short.notes[-1].tolist() == [2.0, 3.0, 64.0]
