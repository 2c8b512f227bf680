"""The end of every judge's command: its report on the terminal and in a file, or one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmdm.errors import InputError
from lmdm.weights import write_beside


def tell(judge: Callable[[], dict[str, Any]], out: Path | None) -> None:
    """Prints what `judge` returns as JSON and writes it to `out`, where one is given.

    Raises:
        SystemExit: status 2, after one sentence, where the judge meets an InputError.
    """
    try:
        report = judge()
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
    text = json.dumps(report, indent=1)
    print(text)
    if out is not None:
        write_beside(out, lambda part: part.write_text(text + "\n"))
