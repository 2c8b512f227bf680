"""The toy table of the dossier (§6) on drawn faces: what must hold, and what would falsify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmdm.safety.piu.experiment import experiment
from lmdm.safety.piu.face_model import FaceConfig

pytestmark = pytest.mark.slow

# of the documented experiment (docs/safety.md) what the laws below need: some four minutes
ROWS = ("+ λ 10", "+ η 1", "surgical (PIU)", "surgical, λ 0")
COSINES = (-0.2, 0.2, 0.5)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("piu")
    config = FaceConfig(denoiser_steps=2500, pictures=32)
    return experiment(folder, config, 1, ROWS, COSINES, etas=(0.0,), quiet=True)


def test_the_target_is_forgotten_and_others_are_kept(report: dict[str, Any]) -> None:
    rows = report["figures"]
    original, piu = rows["original"], rows["surgical (PIU)"]
    assert original["forget_similarity"] - piu["forget_similarity"] >= 0.6
    assert original["retain_similarity"] - piu["retain_similarity"] <= 0.05
    assert piu["forget_accuracy"] <= 0.05 and piu["retain_accuracy"] >= 0.95


def test_without_preservation_others_suffer(report: dict[str, Any]) -> None:
    """Falsified if λ = 0 and λ = 10 retain equally."""
    rows = report["figures"]
    kept = rows["surgical (PIU)"]["retain_similarity"]
    assert kept - rows["surgical, λ 0"]["retain_similarity"] >= 0.05


def test_half_the_parameters_lose_nothing(report: dict[str, Any]) -> None:
    rows = report["figures"]
    surgical, whole = rows["surgical (PIU)"], rows["+ η 1"]
    assert abs(surgical["retain_similarity"] - whole["retain_similarity"]) <= 0.05


def test_the_forgotten_becomes_the_anchor(report: dict[str, Any]) -> None:
    """Falsified if the anchor's cosine does not matter."""
    law = report["facts"]["anchor law"]
    assert 0.7 <= law["slope at η 0"] <= 1.3
    assert sum(point[2] for point in law["points"]) / len(law["points"]) >= 0.8
    assert report["figures"]["+ λ 10"]["anchor_share"] >= 0.8
