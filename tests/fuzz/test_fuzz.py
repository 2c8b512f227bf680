"""Every target for some seconds, guided by coverage: `pytest -m slow tests/fuzz [--minutes M]`.

`--minutes` is shared out among the targets. The default suite damages good files at random instead
(`tests/laws/test_bad_input.py`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed"),
]


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_crash_hang_or_fill_the_memory(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, record_property
) -> None:
    seconds = max(5, round(60 * request.config.getoption("--minutes") / len(TARGETS)))
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(seconds)],
        cwd=tmp_path, env={"PYTHONPATH": str(root), "PATH": ""}, capture_output=True, text=True,
        check=False, timeout=seconds + 240,
    )  # fmt: skip
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", ended.stderr)
    record_property("runs", runs.group(1) if runs else "0")
    print(f"{name}: {runs.group(1) if runs else 0} inputs")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert not list(tmp_path.iterdir())
    assert runs is not None and int(runs.group(1)) > 50
