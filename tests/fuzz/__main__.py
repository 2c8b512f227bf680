"""Fuzzes one target, guided by coverage: `python -m tests.fuzz TARGET [SECONDS]`.

Needs `pip install lmdm-live[fuzz]` (Linux and macOS). It ends at the first input that crashes,
hangs for ten seconds or takes 2 GiB, and leaves it in the present folder as `crash-…`, `timeout-…`,
`oom-…`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

INSTRUMENTED = ["lmdm", "audio_io", "training", "pythonosc", "mido", "tomllib", "PIL", "zipfile"]

with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.targets import TARGETS, seeds


def fuzz(name: str, seconds: int) -> None:
    """Runs libFuzzer, which ends the process."""
    corpus = Path(tempfile.mkdtemp(prefix="lmdm-corpus-"))
    for number, data in enumerate(seeds(name)):
        (corpus / str(number)).write_bytes(data)
    target = TARGETS[name]()
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2500", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"python -m tests.fuzz TARGET [SECONDS]; targets: {', '.join(TARGETS)}")
    fuzz(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
