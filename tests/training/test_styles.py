"""`lmdm models styles`: from an encoded corpus to the table that `SetStyle` reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lmdm.cli.main import main
from lmdm.live import style


def test_a_model_learns_its_styles_from_its_corpus(
    tiny_model: Path,
    tiny_latents: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(style, "FEWEST_PIECES", 1)
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert main(["models", "styles", str(model), "--latents", str(tiny_latents), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["prompts"]) == 3  # those of the pieces that are trained on
    assert report["held_out"] == 0  # whose styles are others here
    table = style.StyleTable.read(model)
    assert table is not None
    assert list(table.prompts) == report["prompts"]


def test_a_folder_that_holds_no_encoded_music_is_refused(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert main(["models", "styles", str(model), "--latents", str(tmp_path)]) == 2
    assert "holds no encoded music" in capsys.readouterr().err
    assert not (model / style.FILE_NAME).exists()
