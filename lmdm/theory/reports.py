"""How the theory tools leave what they find: report.json and texts, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmdm.errors import InputError
from lmdm.outputs import make_folder
from lmdm.weights import write_beside


def write_text(path: Path, text: str) -> None:
    """Writes a text file beside, then renames it."""
    try:
        write_beside(path, lambda part: part.write_text(text, encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror or problem}") from None


def write_report(folder: Path, report: dict[str, Any]) -> Path:
    """report.json in a folder."""
    path = make_folder(folder) / "report.json"
    write_text(path, json.dumps(report, indent=1) + "\n")
    return path
