"""Stable Audio checkpoints from the command line: described, converted, rendered, measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lmdm import checkpoints
from lmdm.cli.main import main
from tests.formats.golden.checkpoint import DESCRIBED, tensors_of, write
from tests.formats.golden.weights import drawn

STEM = "model.model.to_input_add_embed.weight"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base model, and one fine-tuned as LMDM does."""
    root = tmp_path_factory.mktemp("stable-audio")
    config, tensors = DESCRIBED["small"]["config"], tensors_of("small")
    tuned = tensors | {STEM: torch.from_numpy(drawn("stem", (128, 9)))}
    return {
        "base": write(root / "base", config, tensors),
        "tuned": write(root / "tuned", config, tuned),
    }


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_info_describes_a_foreign_checkpoint(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = asked(capsys, "models", "info", str(folders["tuned"]))
    assert facts["form"] == "stable-audio-tools"
    assert facts["stream"]["strategy"] == "encoder-decoder"
    assert facts["numbers"] == {"seconds_total": [0, 256]}
    assert facts["tensors"]["model.safetensors"][STEM] == ["F32", [128, 9]]
    assert facts["sha256"] == checkpoints.load(folders["tuned"]).sha256


@pytest.mark.parametrize(("name", "strategy"), [("base", "outpainting"), ("tuned", "block-causal")])
def test_a_converted_model_is_the_same_model(
    name: str,
    strategy: str,
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "own"
    sizes = ("--block", "4", "--context", "16", "--steps", "3")
    asked(capsys, "models", "convert", str(folders[name]), str(out), "--strategy", strategy, *sizes)
    before, after = checkpoints.load(folders[name]), checkpoints.load(out)
    for part in ("dit", "codec", "conditioner"):
        one, other = (getattr(each, part).state_dict() for each in (before, after))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), part
    assert torch.equal(before.text_encoder.projection.weight, after.text_encoder.projection.weight)
    stream = after.stream_config
    assert (stream.strategy, stream.block_frames, stream.context_frames) == (strategy, 4, 16)
    assert (stream.window_blocks, stream.steps) == (4, 3)
    assert asked(capsys, "models", "info", str(out))["form"] == "lmdm"


@pytest.mark.parametrize("name", ["base", "tuned"])
def test_a_checkpoint_renders_the_same_twice(
    name: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = []
    for file in ("a.wav", "b.wav"):
        report = asked(
            capsys, "render", "--model", str(folders[name]), "--seconds", "0.05", "--steps", "2",
            "--out", str(tmp_path / file),
        )  # fmt: skip
        assert report["peak"] > 0.0
        sounds.append((tmp_path / file).read_bytes())
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize(("name", "strategies"), [("base", 1), ("tuned", 3)])
def test_engine_figures_of_the_strategies_a_model_has(
    name: str, strategies: int, folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = asked(
        capsys, "bench", "engine", "--model", str(folders[name]), "--steps", "1", "--blocks", "1"
    )
    assert len(report["rows"]) == strategies


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("convert", "base", "OUT", "--strategy", "block-causal"), "needs a model with a context"),
        (("convert", "starter", "OUT"), "own form already"),
        (("fetch", "not-an-id"), "no owner/name of the hub"),
        (("info", "nothing-here"), "there is no model 'nothing-here'"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    arguments: tuple[str, ...],
    said: str,
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"base": str(folders["base"]), "OUT": str(tmp_path / "out")}
    assert main(["models", *(places.get(each, each) for each in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_offline_a_hub_id_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def offline(*_: Any, **__: Any) -> None:
        raise hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    assert main(["models", "fetch", "someone/something", "--out", str(tmp_path / "x")]) == 2
    assert "the hub cannot be reached" in capsys.readouterr().err


def test_a_gated_model_tells_how_to_be_let_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    class Response:
        status_code, headers, request = 403, {}, None

    def gated(*_: Any, **__: Any) -> None:
        raise hub.errors.GatedRepoError("gated", response=Response())

    monkeypatch.setattr(hub, "snapshot_download", gated)
    assert main(["models", "fetch", "someone/something", "--out", str(tmp_path / "x")]) == 2
    assert "accept its licence" in capsys.readouterr().err


def test_cache_and_codec_figures_have_their_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    cache = asked(
        capsys, "bench", "cache", "--size", "tiny", "--steps", "2", "--block", "48", "--turns", "1"
    )
    rows = {row["strategy"]: row for row in cache["rows"]}
    assert [rows[name]["tokens"] for name in rows] == [2 * 241, 192 + 2 * 49, 48 + 2 * 49]
    assert rows["outpainting"]["speedup"] == 1.0
    codec = asked(capsys, "bench", "codec", "--channels", "2", "--block", "4", "--turns", "1")
    errors = [row["error_db"] for row in codec["hold_back"]]
    assert errors == sorted(errors, reverse=True) and errors[-1] < -60
    exact = {row["way"]: row["error_db"] for row in codec["rows"]}
    assert max(exact[way] for way in exact if "float32" in way) < -60
