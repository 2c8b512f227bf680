"""`lmdm video bernini`: stages, cases, plans, real renderers, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmdm.cli.main import main
from lmdm.video import checkpoint
from lmdm.video.base import to_pictures
from lmdm.video.bernini import planner, renderer, vit
from lmdm.video.bernini.tasks import Scene, picture_of, video_of
from lmdm.video.dit import VideoDiT
from lmdm.video.movie import read_video, to_bytes, write_video


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Random networks in the real folders, and something to look at."""
    folder = tmp_path_factory.mktemp("bernini")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = vit.VisualEncoder()
        config = planner.PlannerConfig(dim=32, depth=2, heads=2)
        thinker, drawer = planner.Planner(config), VideoDiT(renderer.CONFIG)
        for parameter in drawer.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    checkpoint.save(folder / "vit", vit.KIND, encoder, vit.CONFIG)
    checkpoint.save(folder / "planner", planner.KIND, thinker, config)
    checkpoint.save(folder / "renderer", renderer.KIND, drawer, renderer.CONFIG)
    scene = Scene(0, 1, 0, 0)
    write_video(folder / "source.mp4", to_pictures(video_of(scene)), 8)
    iio.imwrite(folder / "ref.png", to_bytes(to_pictures(picture_of(scene)), zoom=4)[0])
    return folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch, models):
    monkeypatch.chdir(tmp_path)


def bernini(*arguments: str) -> int:
    return main(["video", "bernini", *arguments])


def render(models: Path, *more: str) -> int:
    fast = ("--steps", "2", "--plan-steps", "2", "--vit-steps", "1", "--out", "v.gif")
    return bernini("render", "--models", str(models), *fast, *more)


def test_a_prompt_gives_a_video_and_its_resolved_settings(models):
    assert render(models, "--prompt", "red disc left slow", "--omega", "txt=3") == 0
    assert read_video(Path("v.gif")).shape == (3, 8, 160, 160)
    report = json.loads(Path("v.report.json").read_text())
    assert report["task"] == "t2v"
    assert report["settings"]["omegas"] == {
        "txt": 3.0, "vid": 1.0, "img": 1.0, "tgt": 1.0, "scale": 1.0,
    }  # fmt: skip


def test_what_is_given_makes_the_task(models):
    source, ref = str(models / "source.mp4"), str(models / "ref.png")
    for task, more in (
        ("v2v", ("--source", source)), ("r2v", ("--ref", ref, "--ref", ref)),
        ("rv2v", ("--source", source, "--ref", ref)),
    ):  # fmt: skip
        assert render(models, "--prompt", "recolour red", "--task", task, *more) == 0
        assert json.loads(Path("v.report.json").read_text())["task"] == task


def test_a_case_file_and_reasoning(models):
    source = str(models / "source.mp4")
    Path("case.json").write_text(
        json.dumps({"task": "v2v", "prompt": "recolour red", "source": source})
    )
    for cot in ("text", "visual"):
        assert render(models, "--case", "case.json", "--cot", cot) == 0
        assert isinstance(json.loads(Path("v.report.json").read_text())["said"], str)


def test_a_saved_plan_gives_the_same_video(models):
    prompt = ("--prompt", "red disc left slow")
    assert render(models, *prompt, "--save-plan", "p.safetensors") == 0
    first = Path("v.gif").read_bytes()
    assert load_file("p.safetensors")["plan"].shape == (16, 32)
    assert render(models, *prompt, "--load-plan", "p.safetensors", "--plan-steps", "1") == 0
    assert Path("v.gif").read_bytes() == first
    assert render(models, *prompt, "--no-plan") == 0
    assert Path("v.gif").read_bytes() != first


def test_the_stages_train_and_go_on(models, capsys):
    short = ("--steps", "2", "--batch", "2", "--quiet")
    assert bernini("train-vit", "--out", "m", *short) == 0
    for stage in ("train-planner", "train-renderer"):
        assert bernini(stage, "--out", "m", *short) == 0  # reads m/vit
    assert bernini("cotrain", "--models", "m", "--out", "joint", *short) == 0
    before = load_file("joint/planner/weights.safetensors")
    assert bernini("cotrain", "--models", "m", "--out", "joint", *short) == 0  # all is done
    after = load_file("joint/planner/weights.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    capsys.readouterr()
    assert render(Path("joint"), "--prompt", "blue ring up fast") == 0


def test_a_training_begins_with_another_s_weights(models, capsys):
    """At a rate of nothing they stay what they were, to the 16 bits in which they are kept."""
    short = ("--steps", "1", "--batch", "2", "--rate", "0", "--quiet")
    assert bernini("train-renderer", "--out", "more", *short, "--start-from", str(models)) == 0
    name = "renderer/weights.safetensors"
    first, more = load_file(models / name), load_file(Path("more") / name)
    assert all(torch.equal(first[key], more[key]) for key in first)
    capsys.readouterr()
    assert bernini("train-renderer", "--out", "more", *short) == 2
    assert "start_from was" in capsys.readouterr().err
    assert bernini("train-planner", "--out", "new", *short, "--start-from", "nowhere") == 2
    assert "no video model" in capsys.readouterr().err


def test_evaluate_runs_a_claim(models, capsys):
    few = ("--claims", "iterative_planning", "distribution_head", "--count", "8")
    assert bernini("evaluate", "--models", str(models), *few, "--quiet", "--json") == 0
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert set(claims) == {"iterative_planning", "distribution_head"}
    assert "falsified" in claims["iterative_planning"]


def test_a_real_wan_folder_renders_an_edit(models, tmp_path):
    """Random weights: sources through the codec, contexts, the guided chain, a plan."""
    from tests.video.tiny_pipelines import wan_folder

    wan_folder(tmp_path / "wan")
    save_file({"plan": torch.randn(7, 32)}, "plan.safetensors")
    sizes = ("--frames", "9", "--height", "32", "--width", "32")
    edit = ("--prompt", "a cat", "--source", str(models / "source.mp4"), *sizes)
    assert render(models, "--renderer", "wan", *edit, "--load-plan", "plan.safetensors") == 0
    report = json.loads(Path("v.report.json").read_text())
    assert report["frames"] == 9 and report["experts"] == 1
    assert report["text_budget"]["plan"] == 7 and report["text_budget"]["plan_cut"] == 0
    first = Path("v.gif").read_bytes()
    assert render(models, "--renderer", "wan", *edit) == 0
    assert Path("v.gif").read_bytes() != first  # the plan was heard


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "--prompt or --case"),
        (("--prompt", "a zebra"), "do not know 'a'"),
        (("--prompt", "red", "--source", "none.mp4"), "no such file"),
        (("--prompt", "red", "--task", "v2v"), "make it t2v"),
        (("--prompt", "red", "--omega", "text=1"), "--omega"),
        (("--prompt", "red", "--omega", "txt=nan"), "--omega"),
        (("--prompt", "red", "--load-plan", "none.safetensors"), "cannot be read"),
        (("--prompt", "red", "--load-plan", "wide.safetensors"), "16x32"),
        (("--prompt", "red", "--load-plan", "plan.pt"), "pickle"),
        (("--prompt", "red", "--save-plan", "plan.pt"), ".safetensors"),
        (("--case", "odd.json"), "its keys are"),
        (("--prompt", "red", "--renderer", "nowhere"), "no diffusers folder"),
        (("--prompt", "red", *("--ref", "r.png") * 4), "3 references"),
    ],
)
def test_refusals_are_one_sentence(models, more, says, capsys):
    save_file({"plan": torch.zeros(3, 5)}, "wide.safetensors")
    Path("plan.pt").write_bytes(b"x")
    Path("odd.json").write_text('{"text": "red"}')
    assert render(models, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert not Path("v.gif").exists()


@pytest.mark.slow
def test_every_claim_holds_of_a_toy_trained_here():
    """Dossier §7 after the three stages apart, the last cut short: some twenty minutes."""
    for stage, steps in (("vit", 600), ("planner", 1600), ("renderer", 1400)):
        train = (f"train-{stage}", "--out", "models", "--steps", str(steps), "--quiet")
        assert bernini(*train) == 0
    evaluate = ("evaluate", "--models", "models", "--report", "claims.json", "--quiet")
    assert bernini(*evaluate) == 0
    claims = json.loads(Path("claims.json").read_text())["claims"]
    assert [name for name, each in claims.items() if each.get("falsified")] == []
    accuracy = claims["planner_accuracy"]["rows"]
    assert min(accuracy["r2v"]["mean"], accuracy["rv2v"]["mean"]) > 0.9  # the relational tasks
    means = {name: row["mean"] for name, row in claims["plan_carries_meaning"]["rows"].items()}
    assert means["plan"] > max(means["text only"], means["shuffled plans"]) + 0.15
    dial = [share for _, share in sorted(claims["target_dial"]["adherence"].items())]
    assert dial == sorted(dial)
    assert claims["plan_is_read"]["rows"]["with its plan"]["t = 1"] < 0.4
