"""Bars as tokens: what MIDI says is what is read, and what is written can be read again."""

from __future__ import annotations

import itertools
from pathlib import Path

import mido
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from lmdm.errors import InputError
from lmdm.live.midi_file import read_score
from lmdm.theory import bars
from lmdm.theory.bars import ALPHABET, BAR, PlayedNote, notes_of, read_notes, tokens_of, write_midi


def named(tokens: torch.Tensor) -> list[str]:
    return [ALPHABET[token] for token in tokens.tolist()]


TUNE = [  # a bar of C major and half a bar each of A minor and G major
    *(PlayedNote(0, 16, pitch, 70, 1) for pitch in (48, 52, 55)),
    *(PlayedNote(16, 24, pitch, 70, 1) for pitch in (45, 48, 52)),
    *(PlayedNote(24, 32, pitch, 70, 1) for pitch in (43, 47, 50)),
    *(PlayedNote(start, start + 2, pitch, 90, 0)
      for start, pitch in ((0, 72), (4, 76), (6, 79), (8, 84), (16, 81), (18, 79), (20, 76),
                           (28, 77))),
    *(PlayedNote(start, start + 1, pitch, 100, 9)
      for start, pitch in ((0, 36), (0, 42), (4, 38), (8, 36), (16, 36), (20, 38), (20, 42))),
]  # fmt: skip


def test_a_tune_is_read_as_it_is() -> None:
    first, second = tokens_of(sorted(TUNE, key=lambda note: note.start))
    assert named(first[:2]) == ["C", "C"]
    assert named(second[:2]) == ["Am", "G"]
    hold, rest = "hold", "rest"
    assert named(first[2:18]) == [
        "p72", hold, rest, hold, "p76", hold, "p79", hold, "p84", hold, rest, *[hold] * 5
    ]  # fmt: skip
    assert named(first[18:27]) == ["drums kc", *["drums -"] * 3, "drums s", *["drums -"] * 3,
                                   "drums k"]  # fmt: skip
    assert named(second[22:23]) == ["drums sc"]


def test_midi_is_written_and_read_again(tmp_path: Path) -> None:
    tokens = tokens_of(sorted(TUNE, key=lambda note: note.start))
    write_midi(notes_of(tokens), tmp_path / "tune.mid", bpm=96.0)
    assert torch.equal(tokens_of(read_notes(tmp_path / "tune.mid")), tokens)
    assert [each.name for each in tmp_path.iterdir()] == ["tune.mid"]
    score = read_score(tmp_path / "tune.mid")  # and the instrument's own reader takes it
    assert score.bpm == pytest.approx(96.0, abs=1e-3)
    assert score.drums
    assert score.notes == 8 + 3 * 4 + 0 * len(TUNE) + 4


def test_every_place_has_its_tokens() -> None:
    allowed = bars.allowed_tokens(2 * BAR)
    assert allowed.sum(0).min() > 0  # every token may stand somewhere
    assert torch.equal(allowed[:BAR], allowed[BAR:])
    assert allowed[0].sum() == 25
    assert allowed[2].sum() == 39
    assert allowed[BAR - 1].sum() == 8
    tokens = tokens_of(TUNE).flatten()
    assert allowed.gather(1, tokens[:, None]).all()


@settings(max_examples=30, deadline=None)
@given(some.data())
def test_any_allowed_bars_become_notes_in_time_and_range(data: some.DataObject) -> None:
    allowed = bars.allowed_tokens(BAR)
    tokens = torch.tensor([
        data.draw(some.sampled_from(row.nonzero()[:, 0].tolist())) for row in allowed
    ])  # fmt: skip
    notes = notes_of(tokens)
    assert all(0 <= note.start < note.end <= 16 + 1 for note in notes)
    assert all(0 <= note.pitch <= 127 and 1 <= note.velocity <= 127 for note in notes)
    melody = [note for note in notes if note.channel == 0]
    assert all(one.end <= other.start for one, other in itertools.pairwise(melody))
    struck = int(((tokens >= bars.FIRST_PITCH) & (tokens < bars.NO_CHORD)).sum())
    assert len(melody) == struck


def test_transposing_twelve_times_by_one_is_an_octave() -> None:
    tokens = tokens_of(TUNE)
    moved = tokens
    for _ in range(12):
        moved = bars.transposed(moved, 1)
    assert torch.equal(moved[:, :2], tokens[:, :2])
    octave = (moved - tokens)[:, 2:18]
    assert set(octave.flatten().tolist()) <= {0, 12, -12}
    assert torch.equal(bars.transposed(bars.transposed(tokens, 5), -5)[:, 18:], tokens[:, 18:])


def test_the_home_key_is_c_major() -> None:
    tokens = tokens_of(TUNE).flatten()[None]
    for semitones in (0, 3, -4):
        away = bars.transposed(tokens, semitones)
        assert named(bars.in_home_key(away)[0, :2]) == ["C", "C"]


def test_a_corpus_says_what_it_skipped(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_midi(TUNE + [PlayedNote(32 + n, 33 + n, 72 + n % 5, 90, 0) for n in range(16)]
                   + [PlayedNote(32, 48, pitch, 70, 1) for pitch in (48, 52, 55)],
                   tmp_path / f"{name}.mid", 100.0)  # fmt: skip
    (tmp_path / "broken.mid").write_bytes(b"MThd nonsense")
    waltz = mido.MidiFile(type=0)
    waltz.tracks.append(mido.MidiTrack([mido.MetaMessage("time_signature", numerator=3)]))
    waltz.save(tmp_path / "waltz.mid")
    corpus = bars.read_corpus(tmp_path, 2)
    assert corpus.files == 2
    assert len(corpus.windows) == 4
    assert len(corpus.skipped) == 2
    assert any("3/4" in reason for reason in corpus.skipped)


@pytest.mark.parametrize("contents", [None, b"", b"RIFF"])
def test_a_folder_without_music_is_named(tmp_path: Path, contents: bytes | None) -> None:
    if contents is not None:
        (tmp_path / "x.mid").write_bytes(contents)
    with pytest.raises(InputError, match="no MIDI file in 4/4"):
        bars.read_corpus(tmp_path, 2)
    with pytest.raises(InputError, match="not a folder"):
        bars.read_corpus(tmp_path / "nowhere", 2)
