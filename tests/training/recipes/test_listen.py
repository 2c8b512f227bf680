"""The page of sounds: commands that parse, notes that are written as asked, sound that is kept."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lmdm.cli import render
from training.recipes.starter.listen import EXAMPLES, OGG_BLOCK, Example, write_ogg


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_an_example_is_a_command_with_a_seed_and_an_end(example: Example) -> None:
    parser = argparse.ArgumentParser()
    render.add_arguments(parser)
    options = parser.parse_args([*shlex.split(example.options), "--out", "x.wav"])
    assert options.seed is not None
    assert options.seconds or example.notes
    assert all(21 <= pitch <= 108 and length > 0 for _, length, pitch in example.notes)


def test_vorbis_keeps_every_sample_and_nearly_their_values(tmp_path: Path) -> None:
    time = np.arange(2 * OGG_BLOCK + 100) / 44100
    sound = np.stack([0.3 * np.sin(2 * np.pi * f * time) for f in (220.0, 330.0)], axis=1)
    write_ogg(tmp_path / "sounds/x.ogg", sound.astype(np.float32))
    read, rate = soundfile.read(tmp_path / "sounds/x.ogg", always_2d=True)
    assert rate == 44100
    assert read.shape == sound.shape
    assert np.sqrt(((read - sound) ** 2).mean()) < 0.02
    assert [path.name for path in (tmp_path / "sounds").iterdir()] == ["x.ogg"]
