"""The release's lock file: everything that playing needs, at a version it may have, with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def locked() -> dict[str, tuple[str, int]]:
    """Package -> version and how many hashes."""
    text = (ROOT / "requirements" / "play.txt").read_text()
    entries = re.findall(
        r"^([a-z0-9.-]+)==(\S+) \\\n((?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M
    )
    return {name: (version, hashes.count("sha256:")) for name, version, hashes in entries}


def test_every_dependency_is_locked_at_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = locked()
    for wanted in map(Requirement, project["dependencies"]):
        name = canonicalize_name(wanted.name)
        if name == "torch":  # installed first; its build depends on the machine
            continue
        assert name in found, f"{name} is not locked"
        version, hashes = found[name]
        assert wanted.specifier.contains(version), f"{name} {version} is not {wanted.specifier}"
        assert hashes > 0


def test_no_line_is_without_a_hash() -> None:
    text = (ROOT / "requirements" / "play.txt").read_text()
    assert len(re.findall(r"^[a-z0-9.-]+==", text, re.M)) == len(locked()) > 30
    assert "://" not in text
