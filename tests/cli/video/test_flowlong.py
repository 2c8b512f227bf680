"""`lmdm video flowlong`: what it writes, how it goes on after a kill, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmdm.cli.main import main
from lmdm.video.movie import read_video


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def flowlong(*arguments: str) -> int:
    return main(["video", "flowlong", *arguments])


RENDER = ("render", "--frames", "40", "--steps", "8", "--quiet", "--out")


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_render_writes_a_video_and_a_report(suffix):
    assert flowlong(*RENDER, f"a.{suffix}") == 0
    video = read_video(Path(f"a.{suffix}"))
    assert video.shape[:2] == (3, 40)
    report = json.loads(Path("a.report.json").read_text())
    assert report["frames"] == 40 and report["windows"] == 6
    assert [step["after"] for step in report["steps"]] == [0.0] * 8
    branches = [step["branch"] for step in report["steps"]]
    assert branches == ["stochastic"] * 7 + ["deterministic"]
    assert sorted(path.name for path in Path().iterdir()) == [f"a.{suffix}", "a.report.json"]


def test_a_killed_render_goes_on_and_ends_the_same(monkeypatch):
    """The second run is stopped after its fifth step, as by a kill; the third finishes it."""
    from lmdm.video.flowlong import kept

    assert flowlong(*RENDER, "whole.gif") == 0
    keep = kept.keep_state

    def then_die(path, state, settings):
        keep(path, state, settings)
        if state.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(kept, "keep_state", then_die)
    assert flowlong(*RENDER, "a.gif") == 130
    assert not Path("a.gif").exists() and Path("a.state.safetensors").exists()
    monkeypatch.setattr(kept, "keep_state", keep)
    assert flowlong(*RENDER, "a.gif", "--steps", "9") == 2  # another render's state
    assert flowlong(*RENDER, "a.gif") == 0
    assert json.loads(Path("a.report.json").read_text())["resumed_at_step"] == 5
    assert Path("a.gif").read_bytes() == Path("whole.gif").read_bytes()
    assert not Path("a.state.safetensors").exists()


def test_plan(capsys):
    assert flowlong("plan", "--seconds", "30", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["windows"], plan["latent_frames"], plan["forward_passes"]) == (11, 121, 1100)
    assert (plan["stochastic_steps"], plan["deterministic_steps"]) == (39, 11)


def test_evaluate_writes_table_and_plot(capsys):
    rows = ("--rows", "ode", "flowlong t*=0.6", "sde", "--seeds", "3")
    assert flowlong("evaluate", *rows, "--plot", "t.png", "--json", "--quiet") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(Path("flowlong.report.json").read_text())
    assert set(report["table"]) == {"ode", "flowlong t*=0.6", "sde"}
    assert "falsified" in report["verdict"]
    assert Path("t.png").stat().st_size > 5000


def test_evaluate_measures_any_video(capsys):
    assert flowlong(*RENDER, "a.mp4") == 0
    capsys.readouterr()
    assert flowlong("evaluate", "a.mp4", "--window", "13", "--json") == 0
    figures = json.loads(capsys.readouterr().out)["videos"]["a.mp4"]
    assert figures["frames"] == 40 and figures["motion"] > 0 and figures["seam_jump"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*RENDER, "a.avi"), ".mp4"),
        ((*RENDER, "none/a.mp4"), "does not exist"),
        ((*RENDER, "a.mp4", "--stride", "7"), "below stride"),
        ((*RENDER, "a.mp4", "--prompt", "red disc"), "hears no prompts"),
        ((*RENDER, "a.mp4", "--model", "nowhere"), "no config.json"),
        ((*RENDER, "a.mp4", "--timeline", "t.json"), "No such file"),
        ((*RENDER, "a.mp4", "--timeline", "bad.json"), "not JSON"),
        ((*RENDER, "a.mp4", "--timeline", "late.json"), "starts at 0"),
        ((*RENDER, "a.mp4", "--timeline", "odd.json"), "must be a list"),
        ((*RENDER, "a.mp4", "--resume", "state.pt"), "pickle"),
        (("evaluate", "no.mp4"), "no such file"),
        (("evaluate", "bad.json"), "cannot be read"),
        (("evaluate", "--rows", "x"), "no row"),
        (("evaluate", "--report", "none/x.json"), "make it first"),
        (("evaluate", "--plot", "."), "name a file"),
        (("plan", "--latent", "3"), "CxHxW"),
        (("plan", "--latent", "0x60x-1"), "CxHxW"),
        (("plan", "--window", "80"), "not whole in latent frames"),
    ],
)
def test_refusals_are_one_sentence(arguments, says, capsys):
    Path("bad.json").write_text("{")
    Path("late.json").write_text('[{"seconds": 2, "prompt": "a"}]')
    Path("odd.json").write_text('[{"seconds": 0, "text": "a"}]')
    before = sorted(Path().iterdir())
    assert flowlong(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert sorted(Path().iterdir()) == before


def test_a_real_wan_folder_from_prompts_to_mp4(tmp_path):
    """The whole way with random weights: text encoder, windows, scheduler, codec, prompts."""
    from tests.video.tiny_pipelines import wan_folder

    wan_folder(tmp_path / "wan")
    Path("t.json").write_text(
        '[{"seconds": 0, "prompt": "a cat"}, {"seconds": 1, "prompt": "rain"}]'
    )
    more = ("--window", "17", "--stride", "8", "--height", "16", "--width", "16")
    arguments = ("--model", "wan", "--frames", "33", "--fps", "16", "--steps", "2", *more)
    prompts = ("--timeline", "t.json", "--microbatch", "1", "--quiet")
    assert flowlong("render", "--out", "a.mp4", *arguments, *prompts) == 0
    report = json.loads(Path("a.report.json").read_text())
    assert report["windows"] == 3 and report["settings"]["prompts"] == ["a cat", "rain", "rain"]
    assert [step["after"] for step in report["steps"]] == [0.0, 0.0]
    assert read_video(Path("a.mp4")).shape == (3, 33, 160, 160)


def test_a_real_ltx_folder_from_prompts_to_mp4(tmp_path):
    """Likewise: packed tokens, eights of frames, a codec that scales its latents."""
    from tests.video.tiny_pipelines import ltx_folder

    ltx_folder(tmp_path / "ltx")
    more = ("--window", "17", "--stride", "8", "--height", "32", "--width", "64")
    arguments = ("--model", "ltx", "--frames", "33", "--steps", "2", "--prompt", "a cat", *more)
    assert flowlong("render", "--out", "a.mp4", *arguments, "--quiet") == 0
    report = json.loads(Path("a.report.json").read_text())
    assert (report["windows"], report["latent_frames"], report["fps"]) == (3, 5, 24.0)
    assert [step["after"] for step in report["steps"]] == [0.0, 0.0]
    assert read_video(Path("a.mp4")).shape[:2] == (3, 33)
