"""`lmdm video worldkv`: rollouts from poses and actions, reports, resuming, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.cli.main import main
from lmdm.video import checkpoint
from lmdm.video.dit import VideoDiT
from lmdm.video.worldkv import ring
from lmdm.video.worldkv.evaluate import FIGURES


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoDiT(ring.CONFIG)
    checkpoint.save(Path("model"), ring.KIND, network, ring.CONFIG)


def worldkv(*arguments: str) -> int:
    return main(["video", "worldkv", *arguments])


ROLLOUT = ("rollout", "--model", "model", "--chunks", "12", "--steps", "2", "--quiet", "--out")


def test_rollout_trace_and_revisits(capsys):
    assert worldkv(*ROLLOUT, "v.gif", "--compress", "0.25", "--retrieve-frames", "12") == 0
    report = json.loads(Path("v.report.json").read_text())
    assert max(each["past_tokens"] for each in report["chunks"]) == 54 + 4 * 10
    assert report["frames"] == 36 and report["bank_bytes"] == 12 * 2 * 2 * 10 * 64 * 4
    capsys.readouterr()
    assert worldkv("trace", "v.report.json", "--plot", "t.png") == 0
    assert "chunk    11: " in capsys.readouterr().out and Path("t.png").exists()
    assert worldkv("revisit-eval", "v.report.json", "--json") == 0
    figures = json.loads(capsys.readouterr().out)["rollouts"]["v.report.json"]
    assert figures["revisits"] > 0 and figures["mse"] > 0 and figures["by_gap"]


def test_tables_of_several_models_become_one(capsys):
    """Means of the models' means, and the error between models; the verdict of each is kept."""
    names = ("retrieval k=2", "random k=2", "k=4, keep .25")
    for index, errors in enumerate(((0.1, 0.3, 0.05), (0.2, 0.5, 0.35))):
        table = {
            name: {key: {"mean": 90} for key in FIGURES}
            | {"revisit_mse": {"mean": mean, "error": 9}}
            for name, mean in zip(names, errors, strict=True)
        }
        if index:
            table |= {"full": table["random k=2"]}  # which the other lacks
        Path(f"{index}.json").write_text(json.dumps({"model": f"m{index}", "table": table}))
    joined = ("revisit-eval", "0.json", "1.json", "--report", "all.json", "--plot", "all.png")
    assert worldkv(*joined, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["models"] == ["m0", "m1"] and list(report["table"]) == list(names)
    found = report["table"]["retrieval k=2"]["revisit_mse"]
    assert (found["mean"], found["error"]) == pytest.approx((0.15, 0.05))
    assert found["models"] == [0.1, 0.2]
    assert [each["falsified"] for each in report["verdicts"]] == [False, True]
    assert report["verdict"]["compressed_and_more_beats_whole_and_fewer"] is False
    assert Path("all.png").exists()
    Path("1.json").write_text('{"model": "m", "table": 3}')
    assert worldkv(*joined) == 2
    assert "is no table" in capsys.readouterr().err
    Path("1.json").write_text('{"chunks": [], "latents": "x", "chunk_frames": 3}')
    assert worldkv(*joined) == 2
    assert "reports of one kind" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["poses", "actions"])
def test_poses_and_actions_are_one_trajectory(source):
    moves = np.array(([1] * 14 + [-1] * 14) * 2)[:36]
    np.save("actions.npy", moves)
    np.save("poses.npy", ring.poses_of(torch.from_numpy(moves.cumsum())).numpy())
    assert worldkv(*ROLLOUT, "a.gif", f"--{source}", f"{source}.npy") == 0
    report = json.loads(Path("a.report.json").read_text())
    assert [row["retrieved"] for row in report["chunks"]][8][0] == 1


def test_a_killed_rollout_goes_on_the_same(monkeypatch):
    from lmdm.video.worldkv.rollout import Rollout

    assert worldkv(*ROLLOUT, "whole.gif", "--bank", "disk") == 0
    assert len(list(Path("whole.bank").glob("chunk-*.safetensors"))) == 12
    remember = Rollout._remember

    def dies(self, number, clean):
        if number == 7:
            raise KeyboardInterrupt
        remember(self, number, clean)

    with monkeypatch.context() as killed:
        killed.setattr(Rollout, "_remember", dies)
        assert worldkv(*ROLLOUT, "a.gif") == 130
    assert not Path("a.gif").exists()
    assert worldkv(*ROLLOUT, "a.gif", "--seed", "1") == 2  # another rollout's latents
    assert worldkv(*ROLLOUT, "a.gif") == 0
    assert json.loads(Path("a.report.json").read_text())["resumed_at_chunk"] == 7
    assert Path("a.gif").read_bytes() == Path("whole.gif").read_bytes()


def test_a_plugin_model(monkeypatch, tmp_path):
    Path("mine.py").write_text(
        "from lmdm.video.worldkv import ring\n"
        "from pathlib import Path\n"
        "def build(poses, batch):\n"
        "    network = ring.load(Path('model'))\n"
        "    return ring.RingModel(network, ring.positions_of(poses), batch)\n"
    )
    Path("broken.py").write_text("def build(poses, batch):\n    return object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    np.save("poses.npy", ring.poses_of(ring.sweep(36)).numpy())
    plugin = ("rollout", "--chunks", "12", "--steps", "2", "--quiet", "--poses", "poses.npy")
    assert worldkv(*plugin, "--model", "plugin:mine", "--out", "p.gif") == 0
    assert worldkv(*ROLLOUT, "r.gif", "--poses", "poses.npy") == 0
    assert Path("p.gif").read_bytes() == Path("r.gif").read_bytes()
    assert worldkv("revisit-eval", "p.report.json") == 0
    assert worldkv(*plugin, "--model", "plugin:broken", "--out", "b.gif") == 2
    assert worldkv(*plugin, "--model", "plugin:nowhere", "--out", "b.gif") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*ROLLOUT, "a.gif", "--model", "wan"), "bidirectional"),
        ((*ROLLOUT, "a.gif", "--recent", "4"), "no whole number of chunks"),
        ((*ROLLOUT, "a.gif", "--mode", "sliding:x"), "--mode"),
        ((*ROLLOUT, "a.gif", "--sink", "some"), "--sink"),
        ((*ROLLOUT, "a.gif", "--poses", "flat.npy"), "shape"),
        ((*ROLLOUT, "a.gif", "--poses", "few.npy"), "need 36 poses"),
        ((*ROLLOUT, "a.gif", "--poses", "nan.npy"), "finite"),
        ((*ROLLOUT, "a.gif", "--poses", "objects.npy"), "cannot be read"),
        ((*ROLLOUT, "a.gif", "--actions", "jumps.npy"), "-1, 0 or 1"),
        ((*ROLLOUT, "a.gif", "--bank", "gpu"), "CUDA"),
        (("revisit-eval", "--policies", "x"), "no policy"),
        (("revisit-eval", "wan/model_index.json"), "no report"),
        (("trace", "none.json"), "cannot be read"),
    ],
)
def test_refusals_are_one_sentence(arguments, says, capsys):
    if "gpu" in arguments and torch.cuda.is_available():
        pytest.skip("there is one")
    Path("wan").mkdir()
    Path("wan/model_index.json").write_text('{"_class_name": "WanPipeline"}')
    np.save("flat.npy", np.zeros((36, 3)))
    np.save("few.npy", np.tile(np.eye(4), (9, 1, 1)))
    np.save("nan.npy", np.full((36, 4, 4), np.nan))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.save("jumps.npy", np.full(36, 2))
    assert worldkv(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("lmdm: ") and error.count("\n") == 1 and says in error
    assert not Path("a.gif").exists()
