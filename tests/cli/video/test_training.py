"""The trainings of single video transformers: `base train` and `worldkv train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmdm.cli.main import main
from lmdm.video.movie import read_video

SHORT = ("--steps", "3", "--quiet")
KINDS = {"base": ("base", "train"), "ring": ("worldkv", "train")}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(kind: str, *more: str) -> int:
    return main(["video", *KINDS[kind], "--out", "m", *SHORT, *more])


def weights(folder: str = "m") -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "weights.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_stopped_by_the_clock_goes_on_the_same(kind, capsys):
    """One step a call is three steps at once, and a finished training stays what it is."""
    assert train(kind, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["finished"] and report["steps"] == 3 and report["loss"] > 0
    assert json.loads(Path("m/report.json").read_text()) == report
    whole = weights()
    Path("m").rename("whole")
    for done in (1, 2):
        assert train(kind, "--seconds", "0.001", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"steps": done, "finished": False}
        assert not Path("m/config.json").exists()  # no model yet
    for _ in range(2):
        assert train(kind) == 0
        assert all(torch.equal(whole[name], value) for name, value in weights().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_model_and_a_model_can_be_begun_with(kind, capsys):
    assert train(kind) == 0
    first = weights()
    assert train(kind, "--seed", "1") == 2
    assert "seed was 0, not 1" in capsys.readouterr().err
    Path("m").rename("first")
    assert train(kind, "--start-from", "first", "--rate", "0", "--steps", "1") == 0
    assert all(torch.equal(first[name], value) for name, value in weights().items())
    Path("m").rename("same")
    assert train(kind, "--seed", "1") == 0
    assert any(not torch.equal(first[name], value) for name, value in weights().items())


def test_what_is_trained_can_be_used(capsys):
    movie = ("--frames", "20", "--steps", "2", "--prompt", "red disc right slow", "--quiet")
    flowlong = ["video", "flowlong", "render", "--model", "base", *movie, "--out", "v.gif"]
    assert main(flowlong) == 2
    assert "train one: lmdm video base train --out DIR" in capsys.readouterr().err
    assert train("base") == 0
    Path("m").rename("base")
    assert main(flowlong) == 0
    assert read_video(Path("v.gif")).shape[1] == 20
    walk = ("--chunks", "4", "--steps", "2", "--quiet", "--out", "w.gif")
    assert main(["video", "worldkv", "rollout", "--model", "base", *walk]) == 2  # another kind
    assert train("ring") == 0
    assert main(["video", "worldkv", "rollout", "--model", "m", *walk]) == 0
    assert read_video(Path("w.gif")).shape[1] == 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--out", "file"), "is a file; choose another"),
        (("--start-from", "nowhere"), "no video model"),
        (("--start-from", "other"), "holds a 'vit'"),
        (("--start-from", "torn"), "weights.safetensors"),
        (("--out", "left"), "cannot be gone on from"),
        (("--steps", "0"), "--steps"),
        (("--rate", "nan"), "--rate"),
        (("--seconds", "0"), "--seconds"),
    ],
)
def test_refusals_are_one_sentence(kind, more, says, capsys):
    Path("file").write_text("x")
    network = {"format": "lmdm-video", "version": 1, "network": {}}
    for name, what in (("other", "vit"), ("torn", kind)):
        Path(name).mkdir()
        Path(name, "config.json").write_text(json.dumps(network | {"kind": what}))
        Path(name, "weights.safetensors").write_bytes(b"\x00" * 5)
    Path("left").mkdir()
    save_file({"x": torch.zeros(1)}, "left/network.training.safetensors")
    assert train(kind, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert not Path("m/config.json").exists() and Path("file").read_text() == "x"
