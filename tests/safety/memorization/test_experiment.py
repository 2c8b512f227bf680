"""The digits experiment (dossier §4): what is asserted. The rest of its report is not."""

from __future__ import annotations

from typing import Any

import pytest

from lmdm.safety.memorization.digits import DigitsConfig
from lmdm.safety.memorization.experiment import experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("digits")
    return experiment(folder, DigitsConfig(), seeds=(0,), guidances=(1.0, 7.5), quiet=True)


def test_memorised_prompts_copy_and_others_do_not(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert row["copy rate"]["memorised"] >= 0.5
        assert row["copy rate"]["normal"] <= 0.05 and row["copy rate"]["matched"] <= 0.05


def test_updates_tell_them_apart_and_better_under_guidance(report: dict[str, Any]) -> None:
    weak, strong = report["rows"]
    assert strong["memorised against normal"]["auc"] >= 0.95
    assert strong["memorised against matched"]["auc"] >= 0.9
    for kind in ("normal", "matched"):
        key = f"memorised against {kind}"
        assert strong[key]["auc"] > weak[key]["auc"]


def test_ordinary_prompts_are_left_alone(report: dict[str, Any]) -> None:
    assert all(row["share acted on"]["normal"] <= 0.05 for row in report["rows"])
