"""The experiment's rows: which there are, how they are kept, and what time left out."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmdm.checkpoints import load
from training.data.pieces import load_pieces
from training.data.shards import read_manifest
from training.evaluate.rollouts import Variant
from training.experiments import lmdm_claims
from training.experiments.lmdm_claims import FORCED, Claims, judge, roll, rows

FEW = [Variant("before", FORCED[0], "ping-pong", steps, 1.0, True) for steps in (1, 2)]


def test_every_row_after_has_its_row_before_and_none_comes_twice() -> None:
    for forced in (FORCED, FORCED[:1]):
        found = rows(forced)
        assert len({row.name for row in found}) == len(found)
        after = [row for row in found if row.stage == "after"]
        assert {row.strategy for row in after} == set(forced)
        assert all(replace(row, stage="before") in found for row in after)


def test_rows_are_measured_once_and_what_time_left_out_is_told(
    tiny_model: Path, tiny_latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmdm_claims, "rows", lambda _: FEW)
    options = Namespace(
        out=tmp_path, latents=tiny_latents, seconds=20.0, seeds=1, pieces=2, dim=0, depth=0,
        forced=FORCED, set=[], model=str(tiny_model), minutes=0.0,
    )  # fmt: skip
    figures, missing = Claims(options).evaluate()
    assert missing == 2
    assert set(figures) == {"held_out", "real"}
    options.minutes = 9.0
    figures, missing = Claims(options).evaluate()
    assert missing == 0
    assert [len(figures[row.name]["fd"]) for row in FEW] == [2, 2]
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    assert Claims(options).evaluate()[0] == figures
    assert times == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}


def test_a_primed_rollout_goes_on_from_the_piece(tiny_model: Path, tiny_latents: Path) -> None:
    model, manifest = load(str(tiny_model)), read_manifest(tiny_latents)
    (piece,) = load_pieces(manifest, manifest.split("test"))
    latents, milliseconds = roll(model, FEW[0], piece, 2.0, seed=1)
    assert latents.shape == (manifest.facts["latent_channels"], 44)  # 2 s in whole blocks
    assert milliseconds > 0
    np.testing.assert_array_equal(latents, roll(model, FEW[0], piece, 2.0, seed=1)[0])
    (cold,) = [row for row in rows(FORCED[:1]) if not row.primed and row.stage == "before"]
    assert not np.array_equal(latents, roll(model, cold, piece, 2.0, seed=1)[0])


def test_a_cloud_that_drifts_away_is_told_by_its_slope() -> None:
    generator = np.random.default_rng(0)
    reference, cloud = generator.normal(size=(2, 4, 6000))
    rate = 100.0
    still = judge([cloud], reference, rate)
    shift = np.repeat(np.arange(6.0), 1000)  # a deviation more in each window of 10 s
    found = judge([cloud + shift], reference, rate)
    np.testing.assert_allclose(found["fd"], 4 * np.arange(6.0) ** 2, atol=1.5)
    assert abs(still["slope_per_minute"]) < 0.5 < found["slope_per_minute"]
    assert found["std_ratio_first"] == pytest.approx(1.0, abs=0.1)
