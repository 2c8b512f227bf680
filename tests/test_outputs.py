"""Where results may go: asked before the work, in one sentence, with nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import SafetensorError

from lmdm.errors import InputError
from lmdm.outputs import check_file, check_folder, make_folder
from lmdm.weights import write_beside


def refuses(*_: object, **__: object) -> None:
    raise OSError(30, "Read-only file system")


def test_a_place_that_will_do_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.wav").write_text("old")
    assert check_file(tmp_path / "old.wav", (".wav",)).read_text() == "old"
    assert check_file(tmp_path / "ü.WAV", (".wav",)) == tmp_path / "ü.WAV"
    assert check_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert [each.name for each in tmp_path.iterdir()] == ["old.wav"]
    assert make_folder(tmp_path / "a/b").is_dir() and make_folder(tmp_path / "a/b").is_dir()


def test_a_place_that_will_not_do_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.chdir(tmp_path)
    for path, says in (
        (Path("a.mp3"), "must end in .wav or .flac"), (tmp_path, "must end in"),
        (Path("none/a.wav"), "the folder none does not exist"),
        (Path("file/a.wav"), "the folder file does not exist"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            check_file(path, (".wav", ".flac"))
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_file(tmp_path)
    for path in (Path("file"), Path("file/deeper/still")):
        with pytest.raises(InputError, match="file is a file; choose another"):
            make_folder(path)


def test_a_place_that_takes_no_files_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", refuses)
    for check in (check_folder, check_file):
        with pytest.raises(InputError, match="cannot be written to: Read-only file system"):
            check(tmp_path / "a")


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    """safetensors' own exception is told as any other failure to write."""

    def fails(part: Path) -> None:
        part.write_text("half")
        raise SafetensorError("No space left on device")

    with pytest.raises(OSError, match="whole cannot be written: No space left"):
        write_beside(tmp_path / "whole", fails)
    assert not list(tmp_path.iterdir())
