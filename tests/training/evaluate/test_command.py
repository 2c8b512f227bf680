"""`lmdm train evaluate` as a whole, and its measures in closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lmdm.cli.main import main
from tests.training.conftest import write_tone
from training.evaluate import latent_drift, musicnn
from training.evaluate.embedding import MelStatistics, MusicnnEmbedding
from training.evaluate.rollouts import Measured, centroid, crest_db, prompt_adherence, width


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
        "train", "evaluate", str(tiny_model), "--after", str(tiny_model), "--pieces",
        str(tmp_path / "music"), "--out", str(out), "--seconds", "4", "--window", "2",
        "--steps", "2", "--strategies", "encoder-decoder", "block-causal", "--count", "2",
    ]  # fmt: skip
    assert main(begun) == 0
    report = json.loads((out / "report.json").read_text())
    names = list(report["rows"])
    assert names[:2] == ["real audio", "codec round trip"]
    assert len(names) == 2 + 2 * 2 * 2
    assert ("fallback" in report["embedding"]) == fallback
    row = report["rows"]["after block-causal K=2 primed"]
    assert len(row["fad"]) == 2
    assert len(row["latent_kl_per_block"]) == -(-round(4 * 44100 / 2048) // 4)
    assert row["note_chroma_f1"] is None  # nobody knows the notes of these
    assert (out / "fad.png").stat().st_size > 1000
    assert "| real audio |" in (out / "report.md").read_text()
    rows = {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    (out / "rows" / "before block-causal K=2 cold.json").unlink()
    assert main(begun) == 0
    again = {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    assert [n for n in rows if rows[n] != again[n]] == ["before block-causal K=2 cold.json"]
    assert json.loads((out / "report.json").read_text())["rows"].keys() == report["rows"].keys()
    assert main([*begun[:-2], "--count", "1"]) == 2  # other music: another folder


def test_gaussian_kl_and_frechet_in_closed_form() -> None:
    generator = np.random.default_rng(0)
    cloud = generator.normal(0.0, 1.0, (3, 200_000))
    moved = 2.0 + 3.0 * generator.normal(0.0, 1.0, (3, 200_000))
    wanted = 0.5 * (9 + 4 - 1 - np.log(9))
    assert latent_drift.diagonal_kl(moved, cloud) == pytest.approx(wanted, rel=0.02)
    assert latent_drift.diagonal_kl(cloud, cloud) == pytest.approx(0.0, abs=1e-9)
    assert latent_drift.latent_frechet(moved, cloud) == pytest.approx(3 * (4 + 4), rel=0.02)
    assert latent_drift.latent_frechet(5 * moved, 5 * cloud) == pytest.approx(24, rel=0.02)


def test_slopes_and_windows() -> None:
    assert latent_drift.slope_per_minute([0, 30, 60], [1.0, 2.0, 3.0]) == pytest.approx(2.0)
    clouds = [np.arange(10.0)[None], np.arange(7.0)[None] + 100]
    parts = latent_drift.by_window(clouds, 3)
    assert [part[0].tolist() for part in parts] == [
        [0, 1, 2, 100, 101, 102], [3, 4, 5, 103, 104, 105],
    ]  # fmt: skip
    low, high = latent_drift.bootstrap_interval([1.0, 2.0, 3.0, 4.0])
    assert 1.0 < low < 2.5 < high < 4.0


def test_signal_measures() -> None:
    time = np.arange(44100) / 44100
    sine = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    mono = np.stack([sine, sine], axis=1)
    assert centroid(mono) == pytest.approx(1000, rel=0.02)
    assert width(mono) == 0.0
    assert width(np.stack([sine, -sine], axis=1)) > 100
    assert crest_db(mono) == pytest.approx(3.01, abs=0.02)
    assert centroid(np.zeros((4096, 2), np.float32)) == 0.0


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


def test_musicnn_reads_its_own_weights() -> None:
    path = musicnn.checkpoint_path()
    if path is None:
        pytest.skip("musicnn is not installed")
    time = np.arange(6 * 44100) / 44100
    sine = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.3, len(time)).astype(np.float32)
    embedding = MusicnnEmbedding(musicnn.MusicNN(path))
    one, tags = embedding.embed(sine, 44100)
    other, _ = embedding.embed(noise, 44100)
    assert one.shape[1] == 200
    assert tags.shape == (len(one), 50)
    assert tags.min() >= 0.0
    assert tags.max() <= 1.0
    inside = np.linalg.norm(one[0] - one[1])
    assert np.linalg.norm(one[0] - other[0]) > 3 * inside


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
