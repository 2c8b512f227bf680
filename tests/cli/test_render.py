"""Rendering is exact, follows what it is given, and leaves nothing behind when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from lmdm.cli.main import main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def render(model: Path, out: str, *more: str) -> int:
    return main(["render", "--model", str(model), "--out", out, "--quiet", "--threads", "1", *more])


def midi_file(path: str, channel: int = 0, notes: tuple[int, ...] = (60, 64, 67)) -> str:
    midi = mido.MidiFile()
    track = mido.MidiTrack()
    midi.tracks.append(track)
    for pitch in notes:
        track.append(mido.Message("note_on", note=pitch, channel=channel, time=0))
        track.append(mido.Message("note_off", note=pitch, channel=channel, time=240))
    midi.save(path)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_twice_is_the_same_bytes(tiny_model, suffix):
    notes = midi_file("a.mid")
    for name in "ab":
        arguments = ("--midi", notes, "--prompt", "felt piano:0.7", "choir", "--seed", "1")
        assert render(tiny_model, f"{name}.{suffix}", *arguments, "--seconds", "2") == 0
    assert Path(f"a.{suffix}").read_bytes() == Path(f"b.{suffix}").read_bytes()
    sound, rate = soundfile.read(f"a.{suffix}")
    assert (sound.shape, rate) == ((2 * 44100, 2), 44100)
    assert 0.01 < np.abs(sound).max() <= 10 ** (-1 / 20) + 1e-6


@pytest.mark.parametrize(
    "more",
    [
        ("--seed", "2"),
        ("--prompt", "drums"),
        ("--guidance", "3", "--prompt", "felt piano"),
        ("--steps", "3"),
        ("--bpm", "90"),
        ("--drums", "on"),
        ("--loudness", "-40"),
        ("--midi", "a.mid"),
        ("--prime", "prime.wav"),
        ("--scene", "scene.toml"),
    ],
    ids=lambda more: more[0],
)
def test_every_option_changes_the_music(tiny_model, more):
    midi_file("a.mid")
    noise = np.random.default_rng(0).standard_normal((48000, 1)) * 0.1
    soundfile.write("prime.wav", noise, 48000)
    Path("scene.toml").write_text('prompts = ["choir:0.5"]\nchord = [0, 4, 7]\n')
    assert render(tiny_model, "plain.wav", "--seconds", "1") == 0
    assert render(tiny_model, "other.wav", "--seconds", "1", *more) == 0
    assert Path("plain.wav").read_bytes() != Path("other.wav").read_bytes()


def test_the_length_is_the_midi_files(tiny_model, capsys):
    assert render(tiny_model, "x.wav", "--midi", midi_file("a.mid"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seconds"] == pytest.approx(0.75 + 2.0)
    assert report["settings"]["notes_mode"] == "follow"


def test_drum_notes_ask_for_drums(tiny_model, capsys):
    assert render(tiny_model, "x.wav", "--midi", midi_file("d.mid", 9), "--json") == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert (settings["drums"], settings["notes_mode"]) == (True, "auto")


@pytest.mark.parametrize("notes", [(), (60,)], ids=["silent", "hanging"])
def test_a_silent_file_and_a_hanging_note_work(tiny_model, notes):
    midi = mido.MidiFile()
    midi.tracks.append(mido.MidiTrack([mido.Message("note_on", note=n, time=0) for n in notes]))
    midi.save("a.mid")
    assert render(tiny_model, "x.wav", "--midi", "a.mid", "--seconds", "1") == 0
    assert soundfile.info("x.wav").frames == 44100


def test_options_stand_over_the_scene(tiny_model, capsys):
    Path("s.toml").write_text("seed = 5\nbpm = 90\n")
    arguments = ("--scene", "s.toml", "--seed", "6", "--seconds", "0.5", "--json")
    assert render(tiny_model, "x.wav", *arguments) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert (settings["seed"], settings["bpm"]) == (6, 90.0)


def test_a_part_to_accompany_is_heard_as_far_as_it_may_be(tiny_accompanist, capsys):
    noise = 0.1 * np.random.default_rng(1).standard_normal((44100, 2))
    soundfile.write("part.wav", noise, 44100)
    heard = []
    for out, more in (
        ("plain.wav", ["--seconds", "1"]),
        ("whole.wav", ["--input", "part.wav"]),
        ("before.wav", ["--input", "part.wav", "--future-visibility", "0"]),
        ("again.wav", ["--input", "part.wav", "--future-visibility", "0"]),
    ):
        assert render(tiny_accompanist, out, *more) == 0
        heard.append(Path(out).read_bytes())
    plain, whole, before, again = heard
    assert len(whole) == len(plain) and whole != plain  # as long as the part
    assert before not in (plain, whole)
    assert before == again


def damaged(model: Path, file: str, change) -> Path:
    """A copy of a model with one file changed."""
    folder = Path("damaged")
    folder.mkdir()
    for each in model.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    (folder / file).write_bytes(change((folder / file).read_bytes()))
    return folder


BAD = [
    (["--model", "nothing"], "nothing"),
    (["--model", "a.ckpt"], "pickle"),
    (["--model", "cut"], "dit.safetensors"),
    (["--model", "wrong"], "shape"),
    (["--midi", "none.mid"], "none.mid"),
    (["--midi", "text.txt"], "text.txt"),
    (["--prime", "none.wav"], "none.wav"),
    (["--prime", "text.txt"], "text.txt"),
    (["--prime", "empty.wav"], "empty.wav"),
    (["--prime", "short.wav"], "2048"),
    (["--input", "short.wav"], "accompaniment"),
    (["--input", "none.wav"], "none.wav"),
    (["--future-visibility", "1"], "--input"),
    (["--mute-bass"], "bass"),
    (["--scene", "none.toml"], "none.toml"),
    (["--scene", "text.txt"], "TOML"),
    (["--scene", "colour.toml"], "colour"),
    (["--scene", "fast.toml"], "bpm"),
    (["--replay", "nowhere"], "nowhere"),
    (["--replay", ".", "--seed", "1"], "--seed"),
    (["--out", "x.mp3"], ".wav or .flac"),
    (["--out", "missing/x.wav"], "missing"),
    (["--out", "folder.wav"], "folder"),
    (["--prompt", "a:-1"], "-1"),
    (["--prompt", "a:inf"], "inf"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_line_status_2_and_no_file(tiny_model, arguments, said, capsys):
    Path("text.txt").write_text("no music = here = at all")
    Path("colour.toml").write_text('colour = "red"\n')
    Path("fast.toml").write_text("bpm = 9000\n")
    Path("folder.wav").mkdir()
    soundfile.write("empty.wav", np.zeros((0, 2)), 44100)
    soundfile.write("short.wav", np.zeros((100, 2)), 44100)
    Path("a.ckpt").write_bytes(b"\x80\x04")
    if "cut" in arguments:
        damaged(tiny_model, "dit.safetensors", lambda data: data[:-100]).rename("cut")
    if "wrong" in arguments:
        other = b'"feedforward_multiplier": 3'
        change = (b'"feedforward_multiplier": 2', other)
        damaged(tiny_model, "config.json", lambda data: data.replace(*change)).rename("wrong")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    out = [] if "--out" in arguments else ["--out", "x.wav"]
    model = [] if "--model" in arguments else ["--model", str(tiny_model)]
    assert main(["render", "--seconds", "1", "--quiet", *out, *model, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("lmdm: ")
    assert said in printed.err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_an_interrupted_render_leaves_nothing(tiny_model, monkeypatch, capsys):
    from lmdm.live.session import Session

    true_block, count = Session.next_block, [0]

    def interrupted(self):
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        return true_block(self)

    monkeypatch.setattr(Session, "next_block", interrupted)
    assert render(tiny_model, "x.wav", "--seconds", "5") == 130
    assert list(Path().iterdir()) == []
    assert "interrupted" in capsys.readouterr().err
