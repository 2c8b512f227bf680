"""`lmdm video dvg`: plans, videos, reports, going on, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lmdm.cli.main import main
from lmdm.video.movie import read_video


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def dvg(*arguments: str) -> int:
    return main(["video", "dvg", *arguments])


RENDER = ("render", "--steps", "12", "--quiet", "--out", "out")


def test_plan_lists_candidates_and_the_valid_range(capsys):
    assert dvg("plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["valid_budgets"] == [0.36, 0.78] and len(plan["candidates"]) == 13
    assert all(abs(row["density"] - 0.5) <= 0.02 for row in plan["candidates"])


def test_render_reports_everything_and_goes_on(capsys):
    assert dvg(*RENDER, "--compare", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(Path("out/report.json").read_text())
    assert report["rendered_now"] == 1
    video = report["videos"][0]
    assert abs(video["planned_density"] - 0.5) <= 0.02
    assert len(video["stage_seconds"]) == 4 and video["seconds_full"] > 0
    assert video["seconds_decoding"] >= 0
    assert read_video(Path("out/0000.mp4")).shape[1] == 16
    assert dvg(*RENDER, "--compare") == 0  # all is there already
    assert json.loads(Path("out/report.json").read_text())["rendered_now"] == 0
    Path("out/0000.mp4").unlink()  # as if killed before it was written
    assert dvg(*RENDER, "--compare") == 0
    assert json.loads(Path("out/report.json").read_text())["rendered_now"] == 1


def test_a_sketch_chooses(capsys):
    assert dvg(*RENDER) == 0
    capsys.readouterr()
    assert dvg("plan", "--sketch", "out/0000.mp4", "--json") == 0
    sketch = json.loads(capsys.readouterr().out)["sketch"]
    assert 0 <= sketch["temporal_demand"] < 1 and sketch["action"]["frames"] >= 8


def test_a_real_wan_folder(tmp_path):
    from tests.video.tiny_pipelines import wan_folder

    wan_folder(tmp_path / "wan")
    Path("p.jsonl").write_text('{"prompt": "a cat"}\n\n{"prompt": "rain"}\n')
    size = ("--frames", "33", "--height", "64", "--width", "96", "--budget", "0.6")
    wan = ("--model", "wan", "--prompts", "p.jsonl", "--guidance", "1")
    render = ("render", "--steps", "6", "--quiet", "--out", "out", *wan, *size)
    assert dvg(*render, "--shard", "2/2") == 0
    assert [each.name for each in Path("out").glob("*.mp4")] == ["0001.mp4"]
    assert not Path("out/report.json").exists()
    assert dvg(*render) == 0
    report = json.loads(Path("out/report.json").read_text())
    assert report["rendered_now"] == 1
    assert [video["prompt"] for video in report["videos"]] == ["a cat", "rain"]
    assert report["videos"][0]["shapes"][-1] == [9, 8, 12]
    assert read_video(Path("out/0001.mp4")).shape == (3, 33, 64, 96)


def test_ablate(capsys):
    few = ("ablate", "--contents", "1", "--seeds", "1", "--steps", "12", "--plot", "a.png")
    assert dvg(*few, "--quiet", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["better_than"]) == {"random action", "median action"}
    assert Path("a.png").exists() and Path("dvg.report.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "--budget", "0.9"), "0.36 to 0.78"),
        (("plan", "--shape", "21x60"), "TxHxW"),
        (("plan", "--shifts", "7,9,11"), "4 numbers"),
        (("plan", "--transitions", ".5,.2,.7"), "leave a stage"),
        (("plan", "--transitions", "nan,.5,.7"), "is not 3 numbers"),
        (("plan", "--shifts", "7,inf,9,9"), "is not 4 numbers"),
        (("plan", "--sketch", "none.mp4"), "no such file"),
        ((*RENDER, "--budget", "0.95"), "can be spent"),
        ((*RENDER, "--plan", "fixed:s2=.7"), "--plan"),
        ((*RENDER, "--plan", "fixed:s2=.7,t=99"), "t in"),
        ((*RENDER, "--content", "0,1"), "above 0"),
        ((*RENDER, "--content", "nan,1"), "is not 2 numbers"),
        ((*RENDER, "--prompt", "red disc"), "hears no prompts"),
        ((*RENDER, "--model", "nowhere"), "no config.json"),
        ((*RENDER, "--model", "nowhere", "--prompts", "bad.jsonl"), "line 2"),
    ],
)
def test_refusals_are_one_sentence(arguments, says, capsys):
    Path("bad.jsonl").write_text('{"prompt": "a"}\n{"text": "b"}\n')
    assert dvg(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert not Path("out").exists()
