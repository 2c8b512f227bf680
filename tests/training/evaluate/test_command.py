"""`lmdm train evaluate` as a whole, and its measures in closed form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmdm.checkpoints import load
from lmdm.cli.main import main
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.stream.config import STRATEGIES
from tests.training.conftest import write_tone
from training.evaluate import command, controls, musicnn
from training.evaluate.embedding import MelStatistics
from training.evaluate.figures import Measured, prompt_adherence
from training.evaluate.rollouts import Variant


@pytest.mark.parametrize("fallback", [True, False])
def test_a_report_of_every_row_that_is_taken_up_again(
    fallback: bool, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fallback:
        monkeypatch.setattr(musicnn, "checkpoint_path", lambda: None)
    elif musicnn.checkpoint_path() is None:
        pytest.skip("musicnn is not installed")
    for index in range(2):
        write_tone(tmp_path / f"music/{index}.wav", 12.0, 220.0 * (index + 1))
    out = tmp_path / "report"
    begun = [
        "train", "evaluate", str(tiny_model), "--pieces", str(tmp_path / "music"),
        "--out", str(out), "--parts", "rollouts", "--seconds", "4", "--window", "2",
        "--strategies", "encoder-decoder", "block-causal", "--steps", "2", "--primed",
    ]  # fmt: skip
    assert main([*begun, "--count", "2"]) == 0
    report = json.loads((out / "report.json").read_text())
    names = list(report["rows"])
    assert names[:2] == ["real audio", "codec round trip"]
    assert len(names) == 2 + 2 * 2
    assert ("fallback" in report["embedding"]) == fallback
    own = load(str(tiny_model)).stream_config.sampler
    cold = f"before block-causal {own} K=2 guidance={Controls.guidance:g} cold"
    row = report["rows"][cold]
    assert len(row["fad"]) == 2
    assert row["patches"] == 2 * 2  # one of each window of two seconds
    assert len(row["latent_kl_per_block"]) == -(-round(4 * 44100 / 2048) // 4)
    assert row["note_chroma_f1"] is None  # nobody knows the notes of these
    real = report["rows"]["real audio"]
    assert real["level_db"] == [0.0, 0.0]
    assert real["stft"] == 0.0 < report["rows"]["codec round trip"]["stft"]
    assert real["latent_kl_mean"] < row["latent_kl_mean"]
    assert (out / "fad.png").stat().st_size > 1000
    assert "| real audio |" in (out / "report.md").read_text()
    rows = {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    (out / "rows" / f"{cold}.json").unlink()
    after = [*begun, "--count", "2", "--after", str(tiny_model), "--strategies", "block-causal"]
    assert main(after) == 0  # the row that is missing, and a later stage beside what is there
    again = {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    assert [name for name in rows if rows[name] != again[name]] == [f"{cold}.json"]
    report = json.loads((out / "report.json").read_text())
    assert set(names) < set(report["rows"])
    same = report["rows"][cold.replace("before", "after")]  # the same model plays the same
    assert same | {"real_time_factor": 0} == report["rows"][cold] | {"real_time_factor": 0}
    assert main([*begun, "--count", "1"]) == 2  # other music: another folder
    known = command.begin(out, {"before": report["before"], "after": None})
    assert (known["pieces"], known["after"]) == (report["pieces"], report["after"])
    assert "Guidance keeps 0.2 of" in (out / "report.md").read_text()


def test_unless_told_otherwise_the_model_plays_as_the_instrument_does() -> None:
    plan = command.Plan("starter", None, Path("out"), None, None)
    model = load("starter")
    (variant,) = command.variants(plan, model)
    own = model.stream_config
    assert variant == Variant(
        "before", own.strategy, own.sampler, own.steps, Controls().guidance, primed=False
    )
    with pytest.raises(InputError, match="sampler is 'eular'"):
        command.variants(replace(plan, samplers=("eular",)), model)
    grid = replace(plan, after="x", strategies=STRATEGIES, steps=(1, 2), guidance=(1.0, 7.0))
    assert len(command.variants(grid, model)) == 2 * 3 * 2 * 2


def test_parts_that_folders_are_missing_for() -> None:
    music = Path("music")
    plan = command.Plan("starter", None, Path("out"), music, None)
    assert command.parts_of(plan) == ("rollouts", "codec")
    assert command.parts_of(replace(plan, latents=music)) == tuple(command.PARTS)
    with pytest.raises(InputError, match="--latents is needed for the part prompts"):
        command.parts_of(replace(plan, parts=("codec", "prompts")))
    with pytest.raises(InputError, match="give --pieces or --latents"):
        command.parts_of(replace(plan, source=None))


def test_a_report_of_the_other_parts(
    tiny_accompanist: Path, tiny_latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "SECONDS", 4.0)
    monkeypatch.setattr(controls, "PIECES", 1)
    out = tmp_path / "report"
    begun = ["train", "evaluate", str(tiny_accompanist), "--latents", str(tiny_latents)]
    assert main([*begun, "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report["controls"]) <= set(controls.QUESTIONS)
    assert report["controls"]["density"]["unit"] == "amount"
    assert "no held-out divided piece" in report["left_out"]["accompaniment"]
    assert "| density |" in (out / "report.md").read_text()
    assert main([*begun, "--out", str(out), "--parts", "accompaniment"]) == 2  # asked for by name
    assert main([*begun, "--out", str(out), "--parts", "controls"]) == 0
    again = json.loads((out / "report.json").read_text())
    assert again["controls"] == report["controls"]


def measured(tags: list[float]) -> Measured:
    return Measured({}, [], np.array(tags, np.float32), np.zeros((1, 1)), 1.0)


def test_prompt_adherence_is_one_where_tags_say_the_caption() -> None:
    words = captions = np.eye(2)
    found = [measured([0.9, 0.1]), measured([0.1, 0.9])]
    value = prompt_adherence(found, words, captions)["prompt_adherence"]
    assert value == pytest.approx(np.sqrt(2), rel=1e-3)
    swapped = prompt_adherence(found, words, captions[::-1])["prompt_adherence"]
    assert swapped == pytest.approx(-np.sqrt(2), rel=1e-3)
    assert prompt_adherence(found, np.zeros((0, 2)), captions)["prompt_adherence"] is None


def test_the_fallback_tells_sounds_apart() -> None:
    time = np.arange(6 * 44100) / 44100
    sine = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.3, len(time)).astype(np.float32)
    embedding = MelStatistics()
    one, _ = embedding.embed(sine, 44100)
    other, _ = embedding.embed(noise, 44100)
    assert one.shape[1] == 160
    assert len(one) in (3, 4)  # six seconds, the last window perhaps a frame short
    assert np.linalg.norm(one[0] - other[0]) > 3 * np.linalg.norm(one[0] - one[1])
