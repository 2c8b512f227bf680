"""Killed and resumed equals unbroken; two processes equal one; runs refuse what they were not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lmdm.checkpoints import load
from lmdm.cli.main import main
from lmdm.errors import InputError
from training.engine import EngineConfig, OptimizerConfig, Rows, row_noise, seed_of
from training.finetune.config import FinetuneConfig
from training.run import open_config

FINETUNE = ("ema=0.9", "engine.batch_size=4", "engine.log_steps=1", "engine.validate_steps=0",
            "optimizer.learning_rate=1e-3", "context_noise=0.2")  # fmt: skip
ARC = ("engine.batch_size=4", "engine.microbatch=2", "engine.log_steps=1", "rollout.blocks=4",
       "discriminator.warmup_steps=2", "discriminator.head_dim=8", "optimizer.learning_rate=1e-3",
       "discriminator.optimizer.learning_rate=1e-3", "discriminator.r1=0.1",
       "discriminator.r2=0.1", "ema=0.9", "rollout.grid_steps=3")  # fmt: skip
# The game judges differences D(x) - D(y), in which D's last two biases cancel: their gradients are
# rounding alone, and Adam makes whole steps of it.
CANCELLED = tuple(f"discriminator.weights.head.layers.{n}" for n in ("8.contract.bias", "9.bias"))
SETTINGS = {"finetune": FINETUNE, "arc-forcing": ARC}


def arguments(
    stage: str, run: Path, model: Path, latents: Path, steps: int, *more: str
) -> list[str]:
    return [
        "train", stage, "--run", str(run), "--model", str(model), "--latents", str(latents),
        "--steps", str(steps), "--set", *SETTINGS[stage], *more,
    ]  # fmt: skip


def program(arguments: list[str]) -> list[str]:
    code = f"import sys; from lmdm.cli.main import main; sys.exit(main({arguments!r}))"
    return [sys.executable, "-c", code]


def newest(run: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted((run / "checkpoints").glob("*.safetensors"))[-1])


def losses(run: Path, name: str = "loss") -> list[float]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


@pytest.mark.parametrize("stage", ["finetune", "arc-forcing"])
def test_killed_and_resumed_is_the_unbroken_run(
    stage: str, tiny_model: Path, tiny_latents: Path, tmp_path: Path
) -> None:
    """kill -9 at some moment after the third step's checkpoint; weights and moments bit by bit."""
    given = (tiny_model, tiny_latents, 6)
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    child = subprocess.Popen(
        program(arguments(stage, cut, *given, "engine.checkpoint_steps=3", "engine.steps=100000")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list((cut / "checkpoints").glob("*.safetensors")) and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    resumed_at = int(sorted((cut / "checkpoints").glob("*"))[-1].stem.partition("-")[2])
    steps = resumed_at + 3
    assert main(arguments(stage, cut, *given[:2], steps)) == 0
    assert main(arguments(stage, whole, *given[:2], steps)) == 0
    one, other = newest(cut), newest(whole)
    assert one.keys() == other.keys()
    assert any("optimizer.exp_avg_sq" in name for name in one)
    for name in one:
        assert torch.equal(one[name], other[name]), name
    starts = json.loads((cut / "environment.json").read_text())
    assert [each["from_step"] for each in starts] == [0, resumed_at]
    load(cut / "model")


@pytest.mark.parametrize(
    ("stage", "sharded"),
    [
        ("finetune", False),
        ("finetune", True),
        pytest.param("arc-forcing", False, marks=pytest.mark.slow),
        pytest.param("arc-forcing", True, marks=pytest.mark.slow),
    ],
)
def test_two_gloo_processes_are_one_with_the_summed_batch(
    stage: str, sharded: bool, tiny_model: Path, tiny_latents: Path, tmp_path: Path
) -> None:
    """DDP and FSDP over gloo. Sums are taken in another order: float32 agrees to 1e-4."""
    one, two = tmp_path / "one", tmp_path / "two"
    steps = 5
    assert main(arguments(stage, one, tiny_model, tiny_latents, steps)) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = []
    for rank in range(2):
        environment = {
            **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        setting = f"engine.sharded={str(sharded).lower()}"
        command = program(arguments(stage, two, tiny_model, tiny_latents, steps, setting))
        children.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for child in children:
        _, error = child.communicate(timeout=240)
        assert child.returncode == 0, error.decode()[-2000:]
    starts = json.loads((two / "environment.json").read_text())
    assert starts[0]["processes"] == 2
    names = {"finetune": ["loss"], "arc-forcing": ["discriminator/loss", "generator/loss"]}
    for name in names[stage]:
        assert losses(two, name) == pytest.approx(losses(one, name), rel=1e-4)
    alone, shared = newest(one), newest(two)
    assert alone.keys() == shared.keys()
    compared = [name for name in alone if ".weights." in name and name not in CANCELLED]
    assert len(compared) > 20
    for name in compared:
        assert torch.allclose(alone[name], shared[name], atol=2e-4), name


def test_accumulation_is_one_large_batch(
    tiny_model: Path, tiny_latents: Path, tmp_path: Path
) -> None:
    for size in (4, 1):
        settings = (f"engine.microbatch={size}",)
        run = tmp_path / str(size)
        assert main(arguments("finetune", run, tiny_model, tiny_latents, 3, *settings)) == 0
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), rel=1e-5)


def test_recomputed_activations_change_nothing(
    tiny_model: Path, tiny_latents: Path, tmp_path: Path
) -> None:
    for name in ("false", "true"):
        setting = f"engine.activation_checkpointing={name}"
        run = tmp_path / name
        assert main(arguments("arc-forcing", run, tiny_model, tiny_latents, 4, setting)) == 0
    one, other = newest(tmp_path / "false"), newest(tmp_path / "true")
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-6), name


def test_ctrl_c_saves_and_the_same_command_goes_on(
    tiny_model: Path, tiny_latents: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    begun = arguments("finetune", run, tiny_model, tiny_latents, 100_000)
    child = subprocess.Popen(program(begun), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, error = child.communicate(timeout=60)
    assert child.returncode == 0, error.decode()[-2000:]
    assert b"goes on" in out + error
    saved = int(sorted((run / "checkpoints").glob("*"))[-1].stem.partition("-")[2])
    assert saved >= 1
    assert main(["train", "finetune", "--run", str(run), "--steps", str(saved + 2), "--json"]) == 0
    assert f"step-{saved + 2:07d}.safetensors" in os.listdir(run / "checkpoints")


def test_a_run_refuses_another_config_by_key(
    tiny_model: Path, tiny_latents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    begun = arguments("finetune", run, tiny_model, tiny_latents, 1)
    assert main(begun) == 0
    assert main([*begun, "optimizer.learning_rate=1.0"]) == 2
    assert "optimizer.learning_rate" in capsys.readouterr().err
    assert main([*begun, "engine.stepz=3"]) == 2
    assert "engine.stepz" in capsys.readouterr().err
    assert main([*begun, "engine.log_steps=2"]) == 0  # may change


def test_latents_of_another_codec_are_refused(
    tiny_latents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = ["train", "finetune", "--run", str(tmp_path / "r"), "--model", "starter"]
    assert main([*begun, "--latents", str(tiny_latents)]) == 2
    assert "codec" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_rows_are_shared_out_whole() -> None:
    taken = [Rows(12, 2, 3, process).microbatches() for process in range(3)]
    assert sorted(row for each in taken for batch in each for row in batch) == list(range(12))
    assert all(len(batch) == 2 for each in taken for batch in each)


def test_noise_of_a_row_is_its_own() -> None:
    like = torch.zeros(3, 2, 5)
    noise = row_noise(like, 1, 7, rows=[4, 0, 9])
    assert torch.equal(noise[1], row_noise(like[:1], 1, 7, rows=[0])[0])
    assert seed_of(1, 2) != seed_of(2, 1)
    assert len({seed_of(a, b, c) for a in range(8) for b in range(8) for c in range(8)}) == 512


def test_learning_rates() -> None:
    plan = OptimizerConfig(1.0, warmup_steps=10, schedule="cosine", final=0.1)
    assert plan.rate(0, 100) == pytest.approx(0.1)
    assert plan.rate(100, 100) == pytest.approx(0.1)
    assert plan.rate(50, 100) == pytest.approx(0.55)
    assert OptimizerConfig(2.0, warmup_steps=4).rate(1000, 10) == 2.0


def test_settings_outside_their_range_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"engine\.batch_size"):
        EngineConfig(batch_size=0)
    with pytest.raises(InputError, match="latents"):
        open_config(FinetuneConfig, tmp_path / "run", None, [])
    with pytest.raises(InputError, match=r"dropout\.text"):
        open_config(FinetuneConfig, tmp_path / "run", None, ["latents=x", "dropout.text=1.5"])
