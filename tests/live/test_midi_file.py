"""A MIDI file becomes notes at exact samples, and each of them ends."""

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live.messages import NoteOff, NoteOn, SetTempo
from lmdm.live.midi_file import read_score


def saved(path, messages, **keywords):
    midi = mido.MidiFile(ticks_per_beat=480, **keywords)
    midi.tracks.append(mido.MidiTrack(messages))
    midi.save(path)
    return path


def note(kind, pitch, time, channel=0, velocity=80):
    return mido.Message(kind, note=pitch, velocity=velocity, channel=channel, time=time)


def test_notes_and_tempo_lie_at_their_samples(tmp_path):
    path = saved(
        tmp_path / "a.mid",
        [
            mido.MetaMessage("set_tempo", tempo=600000, time=0),  # 100 bpm
            note("note_on", 60, 480),
            mido.MetaMessage("set_tempo", tempo=300000, time=480),
            note("note_off", 60, 480),
        ],
    )
    score = read_score(path)
    at = [round(second * 44100) for second in (0.6, 1.2, 1.5)]
    assert score.events == (
        (at[0], NoteOn(60, 80)), (at[1], SetTempo(200.0)), (at[2], NoteOff(60)),
    )  # fmt: skip
    assert (score.bpm, score.samples, score.notes, score.drums) == (100.0, at[2], 1, False)
    fixed = read_score(path, bpm=60.0)
    assert [sample for sample, _ in fixed.events] == [44100, 3 * 44100]


def test_a_pitch_of_two_channels_ends_once(tmp_path):
    path = saved(
        tmp_path / "a.mid",
        [
            note("note_on", 60, 0, 0),
            note("note_on", 60, 10, 1),
            note("note_off", 60, 10, 0),
            note("note_off", 60, 10, 1),
        ],
    )
    kinds = [type(message).__name__ for _, message in read_score(path).events]
    assert kinds == ["NoteOn", "NoteOn", "NoteOff"]


def test_the_pedal_holds_what_is_released(tmp_path):
    pedal = [
        mido.Message("control_change", control=64, value=value, time=time)
        for value, time in ((127, 0), (0, 480))
    ]
    path = saved(
        tmp_path / "a.mid",
        [note("note_on", 60, 0), pedal[0], note("note_off", 60, 240), pedal[1]],
    )
    assert read_score(path).events[-1] == (round(0.75 * 44100), NoteOff(60))


def test_drums_are_heard_of_not_played(tmp_path):
    score = read_score(saved(tmp_path / "a.mid", [note("note_on", 36, 0, 9)]))
    assert (score.drums, score.notes, score.events) == (True, 0, ())


def test_a_file_of_nothing_is_a_score_of_nothing(tmp_path):
    score = read_score(saved(tmp_path / "a.mid", []))
    assert (score.events, score.samples, score.bpm) == ((), 0, 120.0)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_score_or_an_input_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("midi") / "x.mid"
    head = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk" + len(data).to_bytes(4, "big")
    for content in (data, head + data):
        path.write_bytes(content)
        try:
            score = read_score(path)
        except InputError:
            continue
        assert all(sample >= 0 for sample, _ in score.events)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.mid"):
        read_score(tmp_path / "none.mid")
