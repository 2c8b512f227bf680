"""The licence of everything that playing needs, from the packages' own metadata.

    python scripts/licences.py            # writes docs/licences.md

Run it in an environment that holds what requirements/play.txt locks; a package that is not there,
or there at another version, is a mistake. `tests/laws/test_licences.py` keeps the table true.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "licences.md"

# What may be part of a work that is GPL-3.0-only.
COMPATIBLE = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "GPL-3.0-only",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LLVM-exception", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "Unlicense", "Zlib",
})  # fmt: skip
SPDX = {  # what older metadata says, by its beginning
    "3-clause bsd": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "freely distributable": "Unlicense",
    "lgpl v3": "LGPL-3.0-only",
    "mit license": "MIT",
}
HEAD = """# Licences of what playing needs

Written by `python scripts/licences.py` from the metadata of the packages that
`requirements/play.txt` locks, and of torch; read again by `tests/laws/test_licences.py`. All of
them may be part of a work under GPL-3.0-only, which ours is because PyQt6 is.

| package | version | licence |
|---|---|---|
"""


def locked() -> dict[str, str]:
    """Package -> version, of the lock file."""
    text = (ROOT / "requirements" / "play.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.M))


def licence_of(package: str) -> tuple[str, str]:
    """Version and licence, an SPDX expression. Raises PackageNotFoundError or ValueError."""
    facts = metadata(package)
    expression = facts.get("License-Expression")
    if expression:
        return facts["Version"], expression
    classifiers = [c.rpartition("::")[2].strip() for c in facts.get_all("Classifier") or ()
                   if c.startswith("License")]  # fmt: skip
    for said in [*classifiers, (facts.get("License") or "").strip()]:
        if said and parts(said) <= COMPATIBLE:
            return facts["Version"], said
        for beginning, name in SPDX.items():
            if said.casefold().startswith(beginning):
                return facts["Version"], name
    raise ValueError(f"{package} does not say its licence")


def parts(expression: str) -> set[str]:
    """The licences of an expression, all of which have to be compatible."""
    return set(re.split(r" AND | OR | WITH |[()]", expression)) - {""}


def main() -> int:
    """Writes the table; 1 if it cannot be made whole."""
    rows, wrong = [], []
    for package, version in sorted({**locked(), "torch": ""}.items()):
        try:
            found, licence = licence_of(package)
        except (PackageNotFoundError, ValueError) as problem:
            wrong.append(str(problem))
            continue
        if version and found != version:
            wrong.append(f"{package} is {found} here and {version} in the lock file")
        if not parts(licence) <= COMPATIBLE:
            wrong.append(f"{package}: {licence} is not known to be compatible")
        rows.append(f"| {package} | {found.partition('+')[0]} | {licence} |")
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
