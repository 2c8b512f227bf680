"""`lmdm safety`, from the command line: a whole small run, and mistakes in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.cli.main import main
from lmdm.safety.memorization.digits import DigitsConfig, DigitsModel
from lmdm.safety.piu import face_model
from lmdm.weights import save_module


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    status = main(["safety", *map(str, arguments)])
    said = capsys.readouterr()
    out = said.out.strip().splitlines()
    return status, json.loads(out[-1]) if out and out[-1].startswith("{") else {}, said.err


def test_memorization_from_calibration_to_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = DigitsConfig(normal=6, planted=3, width=32, blocks=1, steps=20, batch=16)
    model = DigitsModel.train(tmp_path / "model", config, quiet=True)
    normal = [p for p in model.prompts if p.startswith("normal")]
    rest = [p for p in model.prompts if not p.startswith("normal")]
    (tmp_path / "normal.txt").write_text("\n".join(normal))
    (tmp_path / "rest.txt").write_text("\n".join(rest))
    shared = ["--model", tmp_path / "model", "--steps", 5, "--json"]
    region = tmp_path / "region.safetensors"
    status, said, err = call(
        capsys, "memorization", "calibrate", *shared,
        "--prompts", tmp_path / "normal.txt", "--seeds", 2, "--out", region,
    )  # fmt: skip
    assert (status, said["trajectories"], said["steps"]) == (0, 12, 5), err
    status, said, _ = call(
        capsys, "memorization", "detect", *shared, "--region", region,
        "--prompts", tmp_path / "rest.txt", "--seeds", 2, "--out", tmp_path / "d",
    )  # fmt: skip
    assert (status, said["trajectories"]) == (0, 18)
    scoring = (
        "memorization", "detect", *shared, "--region", region, "--prompts", tmp_path / "rest.txt",
        "--seeds", 2, "--out", tmp_path / "shared out",
    )  # fmt: skip
    for shard, prompts in (("2/2", 4), ("1/2", 5)):
        status, said, _ = call(capsys, *scoring, "--shard", shard)
        assert (status, said["shard"], said["prompts"]) == (0, shard, prompts)
    assert not (tmp_path / "shared out" / "scores.csv").exists()
    assert call(capsys, *scoring)[0] == 0
    for name in ("scores.csv", "trace.jsonl"):
        alone = (tmp_path / "d" / name).read_bytes()
        assert (tmp_path / "shared out" / name).read_bytes() == alone
    with (tmp_path / "d" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    traces = [json.loads(line) for line in (tmp_path / "d" / "trace.jsonl").open()]
    for row, trace in zip(rows, traces, strict=True):
        assert float(row["score"]) == pytest.approx(np.abs(np.array(trace["z"])[:, 0]).max())
    labels = "prompt,memorised\n" + "".join(f"{p},{int(p.startswith('memo'))}\n" for p in rest)
    (tmp_path / "labels.csv").write_text(labels)
    status, said, _ = call(
        capsys, "memorization", "evaluate", "--scores", tmp_path / "d" / "scores.csv",
        "--labels", tmp_path / "labels.csv", "--out", tmp_path / "e", "--json",
    )  # fmt: skip
    assert status == 0 and 0.0 <= said["auc"] <= 1.0 and said["positives"] == 3
    assert (tmp_path / "e" / "scores.png").stat().st_size > 5000
    status, said, _ = call(
        capsys, "memorization", "generate", *shared, "--region", region,
        "--prompts", tmp_path / "rest.txt", "--out", tmp_path / "g",
    )  # fmt: skip
    assert status == 0 and len(list((tmp_path / "g").glob("*.png"))) == 9
    status, _, _ = call(capsys, "memorization", "plot", tmp_path / "d", "--out", tmp_path / "z.png")
    assert status == 0 and (tmp_path / "z.png").stat().st_size > 5000
    status, _, err = call(
        capsys, "memorization", "detect", "--model", tmp_path / "model", "--steps", 6,
        "--region", region, "--prompts", tmp_path / "rest.txt", "--out", tmp_path / "x",
    )  # fmt: skip
    assert status == 2 and "calibrated for steps 5, not 6" in err and err.count("\n") == 1


def test_piu_from_embeddings_to_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    config = face_model.FaceConfig(width=32)
    model = face_model.FaceModel(config).eval()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.__dict__))
    save_module(model, folder / "model.safetensors", half=False)
    _, embeddings, _ = face_model.gallery(model, 12, 4, seed=0)
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(12, 32))
    embeddings = centres.repeat(4, axis=0) + 0.05 * generator.normal(size=(48, 32))
    np.save(tmp_path / "e.npy", embeddings)
    people = tmp_path / "people.safetensors"
    status, said, err = call(
        capsys, "piu", "cluster", "--embeddings", tmp_path / "e.npy", "--out", people, "--json"
    )
    assert (status, said["identities"]) == (0, 12), err
    target = ["--identities", people, "--target", 0, "--tau", 0, "--tolerance", 1]
    status, said, _ = call(capsys, "piu", "anchors", *target, "--json")
    assert status == 0 and len(said["anchors"]) >= 8
    status, _, err = call(
        capsys, "piu", "unlearn", *target, "--model", folder, "--steps", 2, "--batch", 2,
        "--reason", "asked to", "--out", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["reason"] == "asked to"
    status, _, err = call(
        capsys, "piu", "baseline", "uce", *target, "--model", folder, "--out", tmp_path / "uce"
    )
    assert status == 0, err
    for run in ("run", "uce"):
        status, said, err = call(
            capsys, "piu", "evaluate", "--model", folder, "--identities", people,
            tmp_path / run, "--samples", 4, "--json",
        )  # fmt: skip
        assert status == 0 and "original" in said, err
    status, said, _ = call(
        capsys, "piu", "report", tmp_path / "run", tmp_path / "uce",
        "--out", tmp_path / "report", "--json",
    )  # fmt: skip
    assert (status, said["rows"]) == (0, 3)
    assert (tmp_path / "report" / "report.md").read_text().count("\n") == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["piu", "cluster", "--embeddings", "no.npy", "--out", "o.safetensors"], "no.npy"),
        (["piu", "cluster", "--embeddings", "no.npy", "--out", "o.npz"], "end in .safetensors"),
        (["piu", "cluster", "--embeddings", "e", "--out", "no/o.safetensors"], "make it first"),
        (["piu", "cluster", "--embeddings", "e", "--eps", "0", "--out", "o"], "--eps"),
        (["piu", "faces", "--out", f"{__file__}/o"], "is a file"),
        (["piu", "experiment", "--out", __file__], "is a file"),
        (["piu", "music", "--out", __file__], "is a file"),
        (["piu", "report", "no", "--out", __file__], "is a file"),
        (["piu", "anchors", "--identities", "no.safetensors", "--target", "0"], "no.safetensors"),
        (["piu", "evaluate", "--model", "m", "--identities", "no.safetensors", "r"], "no"),
        (["memorization", "calibrate", "--model", "no", "--prompts", "p", "--out", "o"], "end in"),
        (["memorization", "evaluate", "--scores", "s", "--labels", "l", "--out", __file__], "file"),
        (["memorization", "experiment", "--out", __file__], "is a file"),
        (["memorization", "light", "--out", "light.npz"], ".safetensors"),
        (["memorization", "light", "--out", "light.safetensors"], "--latents DIR"),
        (["memorization", "plot", "no", "--out", "o.png"], "not a trace"),
        (["memorization", "plot", "no", "--out", "o.svg"], "end in .png"),
        (["memorization"], "required"),
        ([], "required"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    status, _, err = call(capsys, *arguments)
    assert status == 2 and said in err and err.count("\n") == 1 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    ["", '{"z": []}', '{"z": [1, 2]}', '{"z": [["a", 2, 3]]}', '{"z": [[NaN, 2, 3]]}', "[1]", "{"],
)
def test_a_damaged_trace_is_one_line(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trace.jsonl").write_text(line + "\n")
    status, _, err = call(capsys, "memorization", "plot", tmp_path, "--out", tmp_path / "z.png")
    assert status == 2 and "not a trace" in err and err.count("\n") == 1


@pytest.mark.parametrize("row", ["b", "b,", "b,nan", "b,inf", "b,much"])
def test_a_score_that_is_none_is_one_line(
    row: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.csv").write_text(f"prompt,score\na,1\n{row}\n")
    (tmp_path / "labels.csv").write_text("prompt,memorised\na,1\nb,0\n")
    status, _, err = call(
        capsys, "memorization", "evaluate", "--scores", tmp_path / "scores.csv",
        "--labels", tmp_path / "labels.csv", "--out", tmp_path / "e",
    )  # fmt: skip
    assert status == 2 and "is no score of the prompt 'b'" in err and err.count("\n") == 1
    assert not (tmp_path / "e").exists()
