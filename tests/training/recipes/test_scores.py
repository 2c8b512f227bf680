"""Scores are read as written; those that cannot be are skipped and listed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from lmdm.errors import InputError
from training.recipes.starter import musicxml
from training.recipes.starter.corpus import main
from training.recipes.starter.harmony import Key
from training.recipes.starter.musicxml import read_mxl
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.score import Note, Part, perform
from training.recipes.starter.scores import arranged_cut, estimated_key, score_files


def note(step: str, octave: int, duration: int, extra: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{extra}{pitch}<duration>{duration}</duration></note>"


def document(measures: list[str], beats: int = 4, unit: int = 4) -> str:
    first = (
        "<attributes><divisions>2</divisions>"
        f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time></attributes>"
        '<direction><sound tempo="120"/></direction>'
    )
    body = "".join(
        f"<measure>{first if index == 0 else ''}{measure}</measure>"
        for index, measure in enumerate(measures)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise><part-list>'
        '<score-part id="P1"><part-name>Voice</part-name></score-part></part-list>'
        f'<part id="P1">{body}</part></score-partwise>'
    )


def write(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", text)
    return path


SCALE = "".join(note(step, 4, 1) for step in "CDEFGABC")


def test_notes_rests_chords_and_voices_fall_where_they_are_written(tmp_path: Path) -> None:
    measure = (
        note("C", 4, 2)
        + note("E", 4, 2, "<chord/>")
        + "<note><rest/><duration>2</duration></note>"
        + note("G", 5, 4)
        + "<backup><duration>8</duration></backup>"
        + note("C", 3, 8)
    )
    score = read_mxl(write(tmp_path / "a.mxl", document([measure, SCALE])))
    placed = {(n.pitch, n.start) for n in score.parts[0].notes[:4]}
    assert placed == {(60, 0.0), (64, 0.0), (79, 2.0), (48, 0.0)}
    assert score.bars == [(0.0, 4, 1.0), (4.0, 4, 1.0)]
    assert score.tempi == [(0.0, 120.0)]
    assert score.parts[0].name == "Voice"


def test_tied_notes_are_one(tmp_path: Path) -> None:
    measures = [
        SCALE,
        note("A", 4, 8, '<tie type="start"/>'),
        note("A", 4, 4, '<tie type="stop"/>'),
    ]
    notes = read_mxl(write(tmp_path / "a.mxl", document(measures))).parts[0].notes
    tied = [n for n in notes if n.start == 4.0]
    assert len(tied) == 1
    assert tied[0].length == pytest.approx(6.0, abs=0.2)
    assert not [n for n in notes if n.start == 8.0]


def test_compound_time_beats_are_dotted_quarters(tmp_path: Path) -> None:
    six = "".join(note(step, 4, 1) for step in "CDEFGA")
    score = read_mxl(write(tmp_path / "a.mxl", document([six, six], beats=6, unit=8)))
    assert score.bars == [(0.0, 2, 1.5), (3.0, 2, 1.5)]


def test_a_cut_has_regular_beats_labels_inside_and_known_instruments(tmp_path: Path) -> None:
    written = read_mxl(write(tmp_path / "a.mxl", document([SCALE] * 60)))
    score = arranged_cut(written, np.random.default_rng(2))
    performance = perform(score, np.random.default_rng(3))
    assert np.allclose(np.diff(performance.beats[:, 0]), 60 / score.bpm, atol=1e-3)
    assert (performance.beats[:, 1] == np.arange(len(performance.beats)) % 4).all()
    assert performance.notes[:, 1].max() < performance.seconds <= 66
    again = perform(arranged_cut(written, np.random.default_rng(2)), np.random.default_rng(3))
    np.testing.assert_array_equal(performance.notes, again.notes)


def test_the_key_is_found_from_the_notes() -> None:
    part = Part(INSTRUMENTS["grand piano"])
    part.notes = [
        Note(i, 1.0, 60 + p, 80) for i, p in enumerate((2, 6, 9, 2, 4, 6, 7, 9, 11, 1, 2))
    ]
    assert estimated_key([part]) == Key(2, "major")


BROKEN = {
    "not a zip": b"this is no archive",
    "truncated": None,
    "wrong root": "<score-timewise/>",
    "unclosed": "<score-partwise><part>",
    "entities": '<!DOCTYPE s [<!ENTITY a "aaaa">]><score-partwise>&a;</score-partwise>',
    "empty": document([]),
    "infinite": document([SCALE, note("C", 4, 1).replace(">1<", ">inf<")]),
    "no number": document([SCALE, note("C", 4, 1).replace(">1<", ">x<")]),
    "beyond MIDI": document([SCALE, note("C", 14, 1)]),
    "eternal": document([SCALE, note("C", 4, 100000)]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_score_is_refused_by_name(tmp_path: Path, case: str) -> None:
    path = tmp_path / "bad.mxl"
    content = BROKEN[case]
    if isinstance(content, str):
        write(path, content)
    elif content is None:
        path.write_bytes(write(path, document([SCALE])).read_bytes()[:200])
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mxl"):
        read_mxl(path)


def test_a_zip_bomb_is_refused_without_being_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(musicxml, "MAXIMUM_BYTES", 10_000)
    with pytest.raises(InputError, match="unpacks to more"):
        read_mxl(write(tmp_path / "bad.mxl", " " * 1_000_000))


def test_bad_files_are_skipped_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "torn.mxl").write_bytes(b"PK but not really")
    write(folder / "short.mxl", document([SCALE]))
    out = tmp_path / "pieces"
    arguments = ["scores", "--scores", str(folder), "--out", str(out), "--workers", "1"]
    assert main(arguments) == 0
    listed = (tmp_path / "pieces.skipped-scores.txt").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 2
    assert any("torn.mxl" in line for line in listed)
    assert "2 skipped" in capsys.readouterr().out
    assert not list(out.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        score_files(tmp_path / "nowhere")
