from __future__ import annotations

import json
from pathlib import Path

from lmdm.cli.main import main


def test_a_study_goes_on_and_ends_in_tables_and_plots(pictures: Path, tmp_path: Path) -> None:
    words = [
        "image", "decq", "study", "--images", str(pictures), "--test", str(pictures),
        "--out", str(tmp_path), "--resolution", "32", "--backbone-size", "32", "--steps", "2",
        "--generator-steps", "3", "--batch", "2", "--samples", "4", "--seeds", "2",
        "--ablation-seeds", "1", "--queries", "2", "--taps", "0,3",
    ]  # fmt: skip
    assert main([*words, "--minutes", "0"]) == 0
    assert len(list(tmp_path.glob("runs/*/*/state.safetensors"))) == 1  # one step is made
    assert main(words) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    stage1 = report["stage1"]
    assert {"rae", "decq", "last-layer", "nothing", "1-queries", "4-queries"} <= set(stage1)
    assert {"tap-0-only", "tap-3-only", "no-noise-rae", "no-noise-decq"} <= set(stage1)
    assert stage1["decq"]["psnr"]["seeds"] == 2 and stage1["nothing"]["psnr"]["seeds"] == 1
    assert stage1["decq"]["parameters"] == stage1["last-layer"]["parameters"]
    assert stage1["decq"]["probe"] == stage1["rae"]["probe"]
    assert [point["step"] for point in report["stage2"]["decq"]] == [1, 2, 3]
    assert "frechet_judge_without_queries" in report["stage2"]["decq"][0]
    for name in ("report.md", "variants.png", "convergence.png"):
        assert (tmp_path / name).stat().st_size > 0
