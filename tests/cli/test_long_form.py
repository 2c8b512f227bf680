"""`lmdm render --long`: exact, sections heard, resumable, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from lmdm.cli.main import main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def render(model: Path, out: str, *more: str) -> int:
    fixed = ("--long", "--seconds", "2", "--steps", "4", "--quiet", "--threads", "1")
    return main(["render", "--model", str(model), "--out", out, *fixed, *more])


def test_longer_than_the_context_and_twice_the_same(tiny_model, capsys):
    """The tiny model's context is 0.74 s; 2 s are 44 frames in windows of 16 by 8."""
    for name in ("a.wav", "b.wav"):
        assert render(tiny_model, name, "--prompt", "choir", "--json") == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["windows"], report["window_frames"], report["stride_frames"]) == (5, 16, 8)
    assert report["overlap_mismatch"] == 0.0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    assert soundfile.read("a.wav")[0].shape == (88200, 2)
    assert sorted(path.name for path in Path().iterdir()) == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    "more", [("--seed", "2"), ("--bpm", "90"), ("--guidance", "3"), ("--tstar", "1")]
)
def test_every_option_changes_the_music(tiny_model, more):
    assert render(tiny_model, "plain.wav", "--prompt", "choir") == 0
    assert render(tiny_model, "other.wav", "--prompt", "choir", *more) == 0
    assert Path("plain.wav").read_bytes() != Path("other.wav").read_bytes()


def test_a_section_changes_its_own_part_most(tiny_model):
    Path("s.json").write_text(
        '[{"seconds": 0, "prompt": "choir"}, {"seconds": 1.4, "prompt": "drums:0.7, bass:0.3"}]'
    )
    assert render(tiny_model, "plain.wav", "--prompt", "choir") == 0
    assert render(tiny_model, "sections.wav", "--sections", "s.json") == 0
    plain, other = (soundfile.read(f"{name}.wav")[0] for name in ("plain", "sections"))
    changed = (plain - other) ** 2
    assert changed[-22050:].mean() > 4 * changed[:22050].mean()


def test_a_killed_piece_goes_on_the_same(tiny_model, monkeypatch):
    from lmdm.video.flowlong import kept

    assert render(tiny_model, "whole.wav") == 0
    keep = kept.keep_state

    def then_die(path, state, settings):
        keep(path, state, settings)
        if state.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(kept, "keep_state", then_die)
        assert render(tiny_model, "a.wav") == 130
    assert not Path("a.wav").exists() and Path("a.wav.state.safetensors").exists()
    assert render(tiny_model, "a.wav", "--seed", "9") == 2
    assert render(tiny_model, "a.wav") == 0
    assert Path("a.wav").read_bytes() == Path("whole.wav").read_bytes()
    assert not Path("a.wav.state.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--sections", "none.json"), "cannot be read"),
        (("--sections", "late.json"), "start at 0"),
        (("--prime", "whole.wav"), "--prime"),
    ],
)
def test_refusals_are_one_sentence(tiny_model, more, says, capsys):
    Path("late.json").write_text('[{"seconds": 1, "prompt": "a"}]')
    soundfile.write("whole.wav", [[0.0, 0.0]] * 44100, 44100)
    assert render(tiny_model, "x.wav", *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert not Path("x.wav").exists()
