"""Only music and its notices are kept from a package, and a folder appears when it is complete."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lmdm.errors import InputError
from training.recipes.starter import recorded
from training.recipes.starter.recorded import PACKAGES, Package, fetch, fetch_all, is_wanted

TOY = Package("toy-music", r"/toy/music/", "CC0-1.0")


def package_named(name: str) -> Package:
    return next(package for package in PACKAGES if package.name == name)


@pytest.mark.parametrize(
    ("name", "path", "wanted"),
    [
        ("hyperrogue-music", "/usr/share/hyperrogue/music/hr3-hell.ogg", True),
        ("hyperrogue-music", "/usr/share/hyperrogue/sounds/hit-axe1.ogg", False),
        ("hyperrogue-music", "/usr/share/doc/hyperrogue-music/copyright", True),
        ("flare-game", "/usr/share/games/flare/mods/fantasycore/music/wind_ambient.ogg", False),
        ("flare-game", "/usr/share/games/flare/mods/fantasycore/music/cave_theme.ogg", True),
        ("sonic-pi-samples", "/usr/share/sonic-pi/samples/loop_amen.flac", True),
        ("sonic-pi-samples", "/usr/share/sonic-pi/samples/vinyl_hiss.flac", False),
        ("singularity-music", "/usr/share/games/singularity/music/Nebula.txt", False),
    ],
)
def test_music_and_notices_are_wanted(name: str, path: str, wanted: bool) -> None:
    assert is_wanted(package_named(name), path) is wanted


@pytest.fixture
def toy_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stands in for apt and dpkg: a track, an effect, a notice and a link outwards."""
    outside = tmp_path / "secret.ogg"
    outside.write_bytes(b"not yours")

    def run(command: list[str], folder: Path) -> str:
        if command[0] == "apt-get":
            (folder / "toy-music_1.0_all.deb").write_bytes(b"")
        elif command[1] == "-f":
            return "1.0"
        else:
            base = folder / "unpacked" / "usr" / "share"
            for name in ("toy/music/a.ogg", "toy/sounds/b.ogg", "doc/toy-music/copyright"):
                (base / name).parent.mkdir(parents=True, exist_ok=True)
                (base / name).write_bytes(b"x")
            (base / "toy/music/link.ogg").symlink_to(outside)
        return ""

    monkeypatch.setattr(recorded, "_run", run)


@pytest.mark.usefixtures("toy_archive")
def test_a_package_is_kept_whole_with_its_version(tmp_path: Path) -> None:
    out = tmp_path / "recorded"
    assert fetch(TOY, out) == 1
    assert (out / "toy-music" / ".done").read_text(encoding="utf-8") == "1.0\n"
    kept = {str(p.relative_to(out / "toy-music")) for p in out.rglob("*") if p.is_file()}
    assert kept == {"usr/share/toy/music/a.ogg", "usr/share/doc/toy-music/copyright", ".done"}
    assert [path.name for path in out.iterdir()] == ["toy-music"]


@pytest.mark.usefixtures("toy_archive")
def test_a_package_without_its_music_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no music"):
        fetch(Package("toy-music", r"/elsewhere/", "CC0-1.0"), tmp_path / "recorded")
    assert not list((tmp_path / "recorded").iterdir())


def test_failures_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 100, "", "E: Unable to locate package")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(InputError) as caught:
        fetch_all(tmp_path)
    assert all(package.name in str(caught.value) for package in PACKAGES)


def test_every_package_is_credited() -> None:
    text = (Path(recorded.__file__).parent / "CREDITS.md").read_text(encoding="utf-8")
    assert all(f"`{package.name}`" in text for package in PACKAGES)
