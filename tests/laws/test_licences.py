"""The kept table of licences: everything locked is in it, compatible, and as its package says."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import licences  # noqa: E402  # a script, not a package

sys.path.pop(0)


def table() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \|$", licences.TABLE.read_text(), re.M)
    return {name: (version, licence) for name, version, licence in rows if version[0].isdigit()}


def test_everything_locked_has_a_compatible_licence() -> None:
    kept = table()
    assert {name: version for name, (version, _) in kept.items() if name != "torch"} == (
        licences.locked()
    )
    for name, (_, licence) in kept.items():
        assert licences.parts(licence) <= licences.COMPATIBLE, name


def test_the_packages_say_the_same() -> None:
    compared = 0
    for name, (version, licence) in table().items():
        try:
            found = licences.licence_of(name)
        except PackageNotFoundError:
            continue
        if found[0].partition("+")[0] == version:
            assert found[1] == licence, name
            compared += 1
    assert compared > 5


def test_what_is_not_compatible_is_seen() -> None:
    assert licences.parts("Apache-2.0 AND (MIT OR SSPL-1.0)") == {"Apache-2.0", "MIT", "SSPL-1.0"}
    assert not licences.parts("MIT AND SSPL-1.0") <= licences.COMPATIBLE
