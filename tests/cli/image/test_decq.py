from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from lmdm.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
TINY = [
    "--resolution", "32", "--decoder-dim", "16", "--decoder-depth", "1", "--decoder-heads", "2",
    "--queries", "2", "--batch", "4", "--dim", "16", "--depth", "1", "--heads", "2",
    "--head-dim", "16", "--head-heads", "2", "--device", "cpu",
]  # fmt: skip


def decq(*words: str | Path) -> int:
    return main(["image", "decq", *(str(word) for word in words)])


def answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    """What a command prints with --json."""
    capsys.readouterr()
    assert decq(*words, "--json") == 0
    return dict(json.loads(capsys.readouterr().out))


def fit(pictures: Path, out: Path, *more: str) -> int:
    return decq("fit", "--images", pictures, "--out", out, *TINY, *more)


@pytest.fixture(scope="session")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "decq"
    assert fit(pictures, out, "--steps", "6") == 0
    return out


@pytest.fixture(scope="session")
def rae(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "rae"
    assert fit(pictures, out, "--steps", "6", "--stage", "1", "--queries", "0") == 0
    return out


def same_tensors(one: Path, two: Path) -> bool:
    first, second = load_file(one), load_file(two)
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_fit_leaves_models_and_lists_bad_files(run: Path) -> None:
    for stage in ("autoencoder", "generator"):
        for name in ("config.json", "model.safetensors", "plan.json", "log.jsonl"):
            assert (run / stage / name).is_file()
    skipped = json.loads((run / "pictures" / "pictures.json").read_text())["skipped"]
    assert set(skipped) == {"cats/text.jpg", "dogs/cut.png"}
    assert not list(run.rglob("*.part"))


def test_killed_and_resumed_is_as_if_never_killed(pictures: Path, tmp_path: Path) -> None:
    """SIGKILL at whatever moment of either stage; then the same command again."""
    more = ["--steps", "60", "--checkpoint-every", "5"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert fit(pictures, whole, *more) == 0
    words = ["image", "decq", "fit", "--images", str(pictures), "--out", str(broken), *TINY, *more]
    program = f"import sys; from lmdm.cli.main import main; sys.exit(main({words!r}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for stage in ("autoencoder", "generator"):
        running = subprocess.Popen(
            [sys.executable, "-c", program], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not (broken / stage / "state.safetensors").exists() and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert fit(pictures, broken, *more) == 0
    for stage in ("autoencoder", "generator"):
        weights = f"{stage}/model.safetensors"
        assert same_tensors(whole / weights, broken / weights)
    assert not list(broken.rglob("*.part"))


def test_stopped_by_the_clock_goes_on(pictures: Path, tmp_path: Path, run: Path) -> None:
    while True:
        assert fit(pictures, tmp_path / "run", "--steps", "6", "--minutes", "0.0005") == 0
        if (tmp_path / "run" / "generator" / "config.json").exists():
            log = (tmp_path / "run" / "generator" / "log.jsonl").read_text()
            if '"step": 6' in log:
                break
    weights = "autoencoder/model.safetensors"
    assert same_tensors(run / weights, tmp_path / "run" / weights)


def test_another_plan_in_the_same_folder_is_refused(
    pictures: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(pictures, run, "--steps", "7") == 2
    assert "steps" in capsys.readouterr().err


def test_encode(
    pictures: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("encode", "--model", run, "--images", pictures, "--device", "cpu", "--shard", "5")
    figures = answer(capsys, *words, "--out", tmp_path)
    assert figures["encoded"] == 12 and figures["shards"] == 3
    assert set(figures["skipped"]) == {"cats/text.jpg", "dogs/cut.png"}
    first = load_file(tmp_path / "latents-00000.safetensors")
    assert first["z"].shape == (5, 16, 96) and first["q"].shape == (5, 2, 96)
    before = (tmp_path / "latents-00001.safetensors").read_bytes()
    (tmp_path / "latents-00001.safetensors").unlink()
    (tmp_path / "index.json").unlink()
    stamp = (tmp_path / "latents-00000.safetensors").stat().st_mtime_ns
    assert decq(*words, "--out", tmp_path) == 0
    assert (tmp_path / "latents-00001.safetensors").read_bytes() == before
    assert (tmp_path / "latents-00000.safetensors").stat().st_mtime_ns == stamp
    assert decq(*words, "--out", tmp_path, "--half") == 2


def test_reconstruct(
    pictures: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("reconstruct", "--model", run, "--images", pictures, "--device", "cpu")
    figures = answer(capsys, *words, "--out", tmp_path)
    assert figures["made"] == 12 and len(figures["skipped"]) == 2
    made = sorted((tmp_path / "pictures").rglob("*.png"))
    assert len(made) == 12 and Image.open(made[0]).size == (32, 32)
    with Image.open(tmp_path / "grid.png") as sheet:  # eight columns; originals, both ways back
        assert sheet.size == (8 * 34 - 2, 3 * 34 - 2)
    before = made[3].read_bytes()
    made[3].unlink()
    assert decq(*words, "--out", tmp_path) == 0
    assert made[3].read_bytes() == before
    parts = [
        answer(capsys, *words, "--out", tmp_path / "parts", "--shard", f"{k}/3")["pictures"]
        for k in (1, 2, 3)
    ]
    assert sum(parts) == 12
    assert {p.name for p in (tmp_path / "parts" / "pictures").rglob("*.png")} == {
        p.name for p in made
    }


def test_generate_is_the_seeds_alone(
    run: Path, rae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("generate", "--model", run, "--device", "cpu", "--steps", "3")
    assert answer(capsys, *words, "--out", tmp_path / "a", "--count", "5")["made"] == 5
    assert decq(*words, "--out", tmp_path / "b", "--count", "2") == 0
    assert decq(*words, "--out", tmp_path / "b", "--count", "5", "--batch", "2") == 0
    for name in sorted(os.listdir(tmp_path / "a" / "pictures")):
        one, two = (
            np.asarray(Image.open(tmp_path / out / "pictures" / name)).astype(int) for out in "ab"
        )
        assert abs(one - two).max() <= 1
    assert decq(*words, "--out", tmp_path / "b", "--count", "5", "--seed", "2") == 2
    dropped = ("--without-queries", rae, "--class", "dogs", "--guidance", "1.5")
    assert decq(*words, "--out", tmp_path / "c", "--count", "2", *dropped) == 0
    assert decq(*words, "--out", tmp_path / "d", "--class", "cows") == 2
    assert "cats" in capsys.readouterr().err
    assert decq(*words, "--out", tmp_path / "d", "--without-queries", run) == 2


def test_evaluate_beside_a_baseline(
    pictures: Path, run: Path, rae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("evaluate", "--model", run, "--against", rae, "--images", pictures)
    more = ("--out", tmp_path, "--device", "cpu")
    models = answer(capsys, *words, *more)["models"]
    assert set(models) == {"decq", "rae"}
    assert {"psnr", "ssim", "perceptual", "frechet_reconstructions", "psnr_shuffle"} <= set(
        models["decq"]
    )
    assert models["decq"]["linear_probe"] == models["rae"]["linear_probe"]  # the same patch tokens
    assert models["decq"]["cost"]["over_last"] > 0 == models["rae"]["cost"]["over_last"]
    for name in ("report.json", "report.png", "decq.png", "rae.png"):
        assert (tmp_path / name).stat().st_size > 0


def test_perceptual_and_adversarial_losses_are_fitted_and_resumed(
    pictures: Path, tmp_path: Path
) -> None:
    words = ("--stage", "1", "--perceptual", "1", "--adversarial", "0.75", "--steps", "8")
    assert fit(pictures, tmp_path / "whole", *words) == 0
    broken = (*words, "--checkpoint-every", "3", "--minutes", "0.002")
    for _ in range(30):
        assert fit(pictures, tmp_path / "broken", *broken) == 0
    log = [json.loads(line) for line in (tmp_path / "broken/autoencoder/log.jsonl").open()]
    assert log[-1]["step"] == 8 and log[-1]["discriminator"] > 0 and log[-1]["perceptual"] > 0
    weights = "autoencoder/model.safetensors"
    assert same_tensors(tmp_path / "whole" / weights, tmp_path / "broken" / weights)


def test_a_users_model_of_its_own_shape(pictures: Path, tmp_path: Path) -> None:
    import transformers

    config = transformers.Dinov2Config(
        hidden_size=20, num_hidden_layers=4, num_attention_heads=2, image_size=35, patch_size=5
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    out = tmp_path / "run"
    words = ("--backbone", str(tmp_path / "dino"), "--resolution", "28", "--taps", "0,1,3")
    assert fit(pictures, out, *words, "--steps", "2", "--precision", "bf16") == 0
    samples = ("--count", "2", "--steps", "2", "--device", "cpu")
    assert decq("generate", "--model", out, "--out", tmp_path / "new", *samples) == 0
    torch_file = tmp_path / "dino" / "model.safetensors"
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")  # other weights
    assert torch_file.exists()
    assert decq("encode", "--model", out, "--images", pictures, "--out", tmp_path / "z") == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fit", "--images", "nowhere", "--out", "run"), "nowhere does not exist"),
        (("fit", "--images", "PICTURES", "--out", "run", "--taps", "0,9"), "tap 9"),
        (("fit", "--images", "PICTURES", "--out", "run", "--taps", "a"), "list of numbers"),
        (("fit", "--images", "PICTURES", "--out", "run", "--resolution", "30"), "multiple"),
        (("fit", "--images", "PICTURES", "--out", "run", "--device", "cuda"), "no cuda"),
        (("fit", "--images", "PICTURES", "--out", "run", "--stage", "2"), "no run"),
        (("encode", "--images", "PICTURES", "--out", "z", "--model", "nowhere"), "no run"),
        (("generate", "--out", "z", "--model", "PICTURES"), "fit it first"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: tuple[str, ...],
    says: str,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert decq(*(str(pictures) if word == "PICTURES" else word for word in words)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("lmdm: ") and says in said


@pytest.mark.slow
def test_two_processes_share_a_run(pictures: Path, tmp_path: Path) -> None:
    """As `accelerate launch --multi_gpu` starts them, on a machine without GPUs."""
    launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = ["-m", "lmdm", "image", "decq", "fit", "--images", str(pictures), "--out"]
    out = tmp_path / "run"
    subprocess.run(
        [sys.executable, "-m", *launch, *command, str(out), *TINY, "--steps", "4"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        timeout=600,
    )
    plan = json.loads((out / "autoencoder" / "plan.json").read_text())
    assert plan["processes"] == 2
    assert (out / "generator" / "model.safetensors").exists()
    log = [json.loads(line) for line in (out / "generator" / "log.jsonl").open()]
    assert [row["step"] for row in log] == [4]  # one process writes
