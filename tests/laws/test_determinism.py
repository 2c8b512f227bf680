"""Equal seeds and controls give equal samples in every process, at an equal number of threads.

Sums in floating point depend on their order, and so on the number of threads: between two numbers
of threads only closeness is promised. Here the network is small enough that there is none either.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]


def rendered(model: Path, out: Path, threads: int) -> np.ndarray:
    """Two seconds of a new process."""
    command = [sys.executable, "-m", "lmdm", "render", "--model", str(model), "--out", str(out)]
    command += ["--seconds", "2", "--prompt", "felt piano", "--seed", "7", "--quiet"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    subprocess.run(
        [*command, "--threads", str(threads)], check=True, cwd=ROOT, env=environment,
        capture_output=True,
    )  # fmt: skip
    return soundfile.read(out, dtype="float32")[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_two_processes_give_the_same_hash(tiny_model: Path, tmp_path: Path, threads: int) -> None:
    takes = [rendered(tiny_model, tmp_path / f"{n}.wav", threads) for n in range(2)]
    one, other = (hashlib.sha256(take.tobytes()).hexdigest() for take in takes)
    assert np.abs(takes[0]).max() > 0.001
    assert one == other


def test_numbers_of_threads_agree_closely(tiny_model: Path, tmp_path: Path) -> None:
    one, two = (rendered(tiny_model, tmp_path / f"{n}.wav", n) for n in (1, 2))
    assert np.abs(one - two).max() < 1e-3 * np.abs(one).max()
