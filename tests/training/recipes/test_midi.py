"""The arranger's pieces as MIDI files: read back as bars, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmdm.theory.bars import ALPHABET, read_corpus, read_notes
from training.recipes.starter.midi import main, write_corpus


def test_pieces_are_written_once_and_read_as_bars(tmp_path: Path) -> None:
    written = write_corpus(tmp_path, 4, seed=1)
    files = sorted(tmp_path.glob("*.mid"))
    assert 1 <= len(files) == written <= 4
    before = [path.read_bytes() for path in files]
    files[0].unlink()
    assert write_corpus(tmp_path, 4, seed=1) == written
    assert [path.read_bytes() for path in sorted(tmp_path.glob("*.mid"))] == before
    corpus = read_corpus(tmp_path, 2)
    assert corpus.skipped == []
    names = {ALPHABET[token] for token in corpus.windows.flatten().tolist()}
    assert any(name.startswith("p") for name in names)
    assert {"hold", "rest"} <= names


def test_drums_have_their_channel_and_parts_their_own(tmp_path: Path) -> None:
    write_corpus(tmp_path, 12, seed=2)
    channels = [
        {note.channel for note in read_notes(path)} for path in sorted(tmp_path.glob("*.mid"))
    ]
    assert any(9 in each for each in channels)
    assert any(len(each) > 2 for each in channels)


def test_wrong_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "x"), "--pieces", "0"]) == 2
    assert "--pieces" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
