"""A take's log is read as it was written, and nothing else is."""

import json

import pytest

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import Mute, NoteOn
from lmdm.live.take import (
    LOG_NAME,
    Applied,
    Held,
    TakeHeader,
    TakeLog,
    new_take_folder,
    read_take,
)

HEADER = TakeHeader("starter", "ab" * 32, Controls(prompts=(("Flöte", 1.0),), seed=4), 4)
ENTRIES = (Applied(0, NoteOn(60)), Applied(44100, Mute(True)))


@pytest.fixture
def written(tmp_path):
    log = TakeLog(tmp_path, HEADER)
    log.write(ENTRIES[0])
    log.note(5, "something happened")
    log.write(Held(100, 50))
    log.write(ENTRIES[1])
    return tmp_path, log


def test_it_is_read_as_it_was_written(written):
    folder, log = written
    log.begin(30)
    log.close(88200)
    take = read_take(folder)
    assert (take.header, take.controls, take.holds) == (HEADER, ENTRIES, (Held(100, 50),))
    assert (take.start, take.samples) == (30, 88200)


def test_a_torn_last_line_is_passed_over(written):
    folder, log = written
    log.close(0)
    cut_off = (folder / LOG_NAME).read_text().rpartition('{"kind": "end"')[0]
    (folder / LOG_NAME).write_text(cut_off)
    with (folder / LOG_NAME).open("a") as file:
        file.write('{"sample": 3, "kind": "note_o')
    take = read_take(folder)
    assert (take.controls, take.samples) == (ENTRIES, None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"sample": 3, "kind": "explode"}', "line 7.*explode"),
        ('{"sample": -3, "kind": "panic"}', "line 7.*-3"),
        ('{"kind": "panic"}', "line 7.*sample"),
        ("[1]", "line 7.*object"),
        ("{{{", "line 7.*JSON"),
        ('{"sample": 1, "kind": "hold"}', "line 7.*samples"),
    ],
)
def test_a_bad_line_is_named_by_its_number(written, line, said):
    folder, log = written
    log.close(0)
    with (folder / LOG_NAME).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=said):
        read_take(folder)


@pytest.mark.parametrize(
    "header", [{}, {"lmdm_take": 2}, {"lmdm_take": 1}, {"lmdm_take": 1, "settings": {"x": 1}}]
)
def test_a_foreign_header_is_refused(tmp_path, header):
    (tmp_path / LOG_NAME).write_text(json.dumps(header) + "\n")
    with pytest.raises(InputError, match=LOG_NAME):
        read_take(tmp_path)


def test_no_take_is_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = new_take_folder(None), new_take_folder(None)
    assert first != second
    assert second.is_dir()
    TakeLog(first, HEADER).close(0)
    with pytest.raises(InputError, match="already"):
        new_take_folder(first)


def test_a_take_older_than_projected_guidance_is_replayed_without_it(written):
    folder, log = written
    log.close(0)
    path = folder / LOG_NAME
    header, *rest = path.read_text().splitlines()
    values = json.loads(header)
    assert values["settings"].pop("guidance_parallel") == Controls.guidance_parallel != 1.0
    path.write_text("\n".join([json.dumps(values), *rest]) + "\n")
    assert read_take(folder).header.controls.guidance_parallel == 1.0
