"""A wheel of this tree brings everything that playing needs, the starter model included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lmdm", "ui", "audio_io", "training")
METADATA = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in METADATA:
        shutil.copy(ROOT / name, tree / name)
    pip(["wheel", "--no-deps", "--wheel-dir", str(tree / "dist"), str(tree)])
    (built,) = (tree / "dist").glob("*.whl")
    return built


def pip(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_it_holds_every_module_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules - names == set()
    assert not [name for name in names if name.startswith("tests/")]


def test_it_plays_where_the_tree_is_not(wheel: Path, tmp_path: Path) -> None:
    """The starter is found, whole, and gives sound, from an installed wheel."""
    pip(["install", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    sound = tmp_path / "sound.wav"
    ran = subprocess.run(
        [sys.executable, "-m", "lmdm", "render", "--seconds", "1", "--out", str(sound), "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert sound.stat().st_size > 44100 * 2 * 2
    info = subprocess.run(
        [sys.executable, "-m", "lmdm", "models", "info", "starter", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(json.loads(info.stdout)["folder"])
    assert folder.is_relative_to((tmp_path / "site").resolve())
