"""Folders of pictures for the commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in two classes, and two files that are none."""
    root = tmp_path_factory.mktemp("pictures")
    numbers = np.random.default_rng(0)
    for number in range(12):
        path = root / ("cats" if number < 6 else "dogs") / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        small = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small.resize((40, 36), Image.Resampling.BICUBIC).save(path)
    (root / "cats" / "text.jpg").write_text("not a picture")
    (root / "dogs" / "cut.png").write_bytes((root / "dogs" / "06.png").read_bytes()[:200])
    return root
