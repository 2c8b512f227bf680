"""`lmdm theory`: what it prints, what it writes, and one sentence for a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmdm.cli.main import main
from lmdm.diffusion.prediction import convert
from lmdm.diffusion.schedule import VP
from lmdm.live.midi_file import read_score


def ran(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["theory", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_verify_prints_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = ran(capsys, "continuous", "verify", "--schedule", "fm", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["failed"] == []
    assert len(report["findings"]) == 13
    status, out, _ = ran(capsys, "uniform", "verify", "--exact", 2, 2)
    assert status == 0
    assert "8 of 8 hold" in out


def test_a_claim_that_fails_is_said_and_is_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule with a wrong derivative does not pass."""
    right = VP.dsigma
    monkeypatch.setattr(VP, "dsigma", lambda self, t: 1.001 * right(self, t))
    status, out, _ = ran(capsys, "continuous", "verify", "--schedule", "vp")
    assert status == 1
    assert "FAILED" in out


def test_order_measures_and_judges(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = ran(
        capsys, "continuous", "order", "--solver", "heun", "--n", 50, 100, "--json"
    )
    report = json.loads(out)
    assert status == 0
    assert report["order"] == pytest.approx(2, abs=0.15)
    assert report["errors"][0] == pytest.approx(2.1e-3, rel=0.05)
    from lmdm.theory import identities

    euler = identities.SOLVERS["euler"]
    monkeypatch.setitem(identities.SOLVERS, "euler", (euler[0], 2))
    assert ran(capsys, "continuous", "order", "--solver", "euler", "--n", 50, 100)[0] == 1


def test_sample_writes_samples_a_picture_and_a_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out_folder = tmp_path / "ring"
    status, out, _ = ran(
        capsys, "continuous", "sample", "--data", "ring", "--solver", "edm", "--grid", "rho",
        "--schedule", "edm", "--steps", 20, "--count", 500, "--out", out_folder, "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert status == 0
    assert report["nfe"] == 40
    assert report["sliced_w2"] < 0.2
    assert load_file(out_folder / "samples.safetensors")["x"].shape == (500, 2)
    assert (out_folder / "samples.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((out_folder / "report.json").read_text()) == report


@pytest.mark.parametrize("solver", ["euler", "heun", "ddim", "ddpm", "euler-maruyama", "dpm++2m"])
@pytest.mark.parametrize("schedule", ["vp", "ve", "fm", "cos"])
def test_every_solver_samples_every_path(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, solver: str, schedule: str
) -> None:
    kind = "x0" if schedule in ("fm", "cos") else "eps"
    grid = ("--grid", "rho") if schedule == "ve" and solver != "heun" else ()
    status, out, err = ran(
        capsys, "continuous", "sample", "--data", "gaussian", "--solver", solver, "--schedule",
        schedule, "--kind", kind, "--steps", 100, "--count", 200, "--out", tmp_path, "--json", *grid
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(out)["sliced_w2"] < 0.3


def test_convert_a_number_and_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = ran(
        capsys, "continuous", "convert", "--from", "vp:eps", "--to", "vp:v", "--t", 0.3, "--x", 1.2,
        "--value", -0.4, "--json",
    )  # fmt: skip
    x, value = (torch.tensor([each], dtype=torch.float64) for each in (1.2, -0.4))
    wanted = float(convert(value, "eps", "v", x, 0.3, VP()))
    assert status == 0
    assert json.loads(out)["value"] == pytest.approx(wanted, rel=1e-12)
    given = {
        "x": torch.randn(4, 3),
        "value": torch.randn(4, 3),
        "t": torch.tensor([0.1, 0.4, 0.6, 1]),
    }
    save_file(given, tmp_path / "in.safetensors")
    there, back = tmp_path / "there.safetensors", tmp_path / "back.safetensors"
    way = ("continuous", "convert", "--from", "vp:eps", "--to", "cos:vp_v")
    assert ran(capsys, *way, "--in", tmp_path / "in.safetensors", "--out", there)[0] == 0
    way = ("continuous", "convert", "--from", "cos:vp_v", "--to", "vp:eps")
    assert ran(capsys, *way, "--in", there, "--out", back)[0] == 0
    for name, tensor in load_file(back).items():
        assert torch.allclose(tensor.double(), given[name].double(), atol=1e-4), name


def test_fit_run_and_evaluate_a_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("so la ti do re mi fa. " * 80)
    folder = tmp_path / "model"
    small = ("--steps", 30, "--width", 16, "--layers", 1, "--length", 12)
    assert ran(capsys, "uniform", "fit", "--data", text, "--out", folder, *small)[0] == 0
    report = json.loads((folder / "report.json").read_text())
    assert report["steps"] == 30
    assert report["nelbo"] > 0
    out = tmp_path / "samples.txt"
    way = ("uniform", "run", "--model", folder, "--out", out, "--count", 3, "--nfe", 7)
    assert ran(capsys, *way, "--corrector", "gibbs", "--k", 2, "--top-p", 0.9)[0] == 0
    assert [len(line) for line in out.read_text().splitlines()] == [12, 12, 12]
    way = ("uniform", "evaluate", "--model", folder, "--data", text, "--samples", 16, "--json")
    status, printed, _ = ran(capsys, *way)
    assert status == 0
    assert {"nelbo", "loo_sensitivity", "bigram_tv"} <= set(json.loads(printed))


def test_bars_are_written_for_the_instrument(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "bars.mid"
    status, printed, _ = ran(
        capsys, "uniform", "run", "--out", out, "--count", 3, "--bpm", 110, "--nfe", 8, "--json"
    )
    assert status == 0
    score = read_score(out)
    assert score.bpm == pytest.approx(110, abs=0.01)
    assert score.notes > 0
    assert json.loads(printed)["bars"] == 3


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["continuous", "order", "--solver", "heun", "--n", "50"], "two or more numbers that rise"),
        (["continuous", "order", "--solver", "heun", "--n", "50", "20"], "numbers that rise"),
        (["continuous", "order", "--solver", "leap"], "invalid choice"),
        (["continuous", "convert", "--from", "vp", "--to", "fm:v", "--t", "0.5"], "PATH:KIND"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:w", "--t", "0.5"], "PATH:KIND"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v"], "give --t"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v", "--t", "2"], "0..1; t is 2"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v", "--t", "nan"], "t is nan"),
        (["continuous", "convert", "--from", "fm:eps", "--to", "fm:x0", "--t", "1"], "singular"),
        (["continuous", "convert", "--from", "fm:v", "--to", "vp:v", "--t", "1"], "never reaches"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v", "--t", ".5", "--x", "1"],
         "belong together"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v", "--in", "TMP/no.safetensors",
          "--out", "TMP/x"], "cannot be read"),
        (["continuous", "sample", "--schedule", "edm", "--grid", "ddpm", "--out", "TMP/a"],
         "paths on 0..1"),
        (["continuous", "sample", "--grid", "ddpm", "--steps", "2000", "--out", "TMP/a"],
         "at most"),
        (["continuous", "sample", "--out", "TMP/file/deeper"], "is a file; choose another"),
        (["uniform", "fit", "--data", "TMP/nothing", "--out", "TMP/m"], "cannot be read"),
        (["uniform", "fit", "--data", "TMP", "--out", "TMP/m"], "no MIDI file"),
        (["uniform", "fit", "--data", "TMP/file", "--out", "TMP/m"], "characters"),
        (["uniform", "run", "--model", "TMP/nothing", "--out", "TMP/x.mid"], "is missing"),
        (["uniform", "run", "--out", "TMP/x.wav"], "writes .mid files"),
        (["continuous", "convert", "--from", "vp:eps", "--to", "fm:v", "--t", ".3", "--x", "inf",
          "--value", "1"], "--x"),
        (["uniform", "run", "--out", "TMP/nowhere/x.mid"], "make it first"),
        (["uniform", "run", "--out", "TMP/x.mid", "--corrector", "gibbs"], "this one's is lift"),
        (["uniform", "run", "--out", "TMP/x.mid", "--temperature-space", "denoiser"], "is lift"),
        (["uniform", "evaluate", "--data", "markov"], "other tokens"),
        (["uniform", "run", "--out", "TMP/x.mid", "--temperature", "0"], "--temperature"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], wrong: str
) -> None:
    (tmp_path / "file").write_text("a")
    status, out, err = ran(capsys, *[word.replace("TMP", str(tmp_path)) for word in words])
    assert status == 2
    assert out == ""
    assert wrong in err
    assert len(err.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "a"}  # nothing half-made
