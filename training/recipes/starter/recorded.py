"""Recorded music under free licences out of Debian packages; CREDITS.md names the authors."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from lmdm.errors import InputError

AUDIO = re.compile(r"\.(ogg|oga|opus|flac|wav)$", re.IGNORECASE)
NOTICE = re.compile(
    r"/doc/[^/]+/copyright$|/(authors?|credits?|license)[^/]*\.(txt|xml)$", re.IGNORECASE
)
FETCH_SECONDS = 900


@dataclass(frozen=True)
class Package:
    """A Debian package; `music` matches the paths in it that are music, not effects or speech."""

    name: str
    music: str
    licence: str


PACKAGES: tuple[Package, ...] = (
    Package("singularity-music", r"/singularity/music/", "CC-BY-SA-3.0"),
    Package("marsshooter-data", r"/audio/music/", "CC-BY-SA-3.0"),
    Package("hyperrogue-music", r"/hyperrogue/music/", "CC-BY-SA-3.0"),
    Package("unknown-horizons", r"/audio/music/", "CC-BY-SA-3.0"),
    Package("flare-game", r"/music/(?!wind_ambient)", "CC-BY-SA-3.0+"),
    Package("megaglest-data", r"/music/", "CC-BY-SA-3.0"),
    Package("fretsonfire-songs-sectoid", r"/songs/sectoid/.*/(song|guitar)\.ogg$", "MIT"),
    Package("sonic-pi-samples", r"/samples/loop_", "CC0-1.0, MIT where not listed by file"),
)


def is_wanted(package: Package, path: str) -> bool:
    """Whether a path inside the package is one of its music files or its copyright notice."""
    music = AUDIO.search(path) and re.search(package.music, path)
    return bool(music or NOTICE.search(path))


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except FileNotFoundError as error:
        raise InputError(
            f"{command[0]} is missing: recordings are fetched on Debian only"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{' '.join(command)} took more than {FETCH_SECONDS} s: check the network"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"{' '.join(command[:3])} failed ({reason}): run apt-get update and try again"
        )
    return done.stdout.strip()


def keep_music(package: Package, unpacked: Path, folder: Path) -> int:
    """Copy the wanted files to the same paths below `folder`; returns the number of music files."""
    count = 0
    for source in sorted(unpacked.rglob("*")):
        relative = source.relative_to(unpacked)
        # A link could point out of the package.
        if source.is_symlink() or not source.is_file() or not is_wanted(package, f"/{relative}"):
            continue
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        count += int(AUDIO.search(source.name) is not None)
    return count


def fetch(package: Package, out: Path) -> int:
    """Download one package and keep its music in out/NAME; returns the number of tracks.

    out/NAME appears only when complete; the file .done in it holds the package's version.
    A package that is already there is left as it is. InputError where apt or dpkg fail.
    """
    folder = out / package.name
    if (folder / ".done").is_file():
        return sum(1 for path in folder.rglob("*") if AUDIO.search(path.name))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{package.name}.") as scratch:
        work = Path(scratch)
        _run(["apt-get", "download", package.name], work)
        archives = list(work.glob("*.deb"))
        if not archives:
            raise InputError(
                f"apt-get brought no archive of {package.name}: run apt-get update and try again"
            )
        version = _run(["dpkg-deb", "-f", archives[0].name, "Version"], work)
        _run(["dpkg-deb", "-x", archives[0].name, "unpacked"], work)
        count = keep_music(package, work / "unpacked", work / "kept")
        if not count:
            raise InputError(
                f"{package.name} {version} holds no music where it is looked for ({package.music})"
            )
        (work / "kept" / ".done").write_text(f"{version}\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        (work / "kept").rename(folder)
    return count


def fetch_all(out: Path) -> None:
    """Fetch every package; those that fail are named at the end in one InputError."""
    failures = []
    tracks = 0
    for package in tqdm(PACKAGES, unit="package"):
        try:
            tracks += fetch(package, out)
        except InputError as error:
            failures.append(f"{package.name}: {error}")
    print(f"{tracks} tracks in {out}")
    if failures:
        raise InputError("; ".join(failures))
