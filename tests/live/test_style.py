"""Styles learnt from latents: what differs between styles counts, what varies within does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lmdm.errors import InputError
from lmdm.live.style import (
    FILE_NAME,
    WINDOW_FRAMES,
    Example,
    StyleTable,
    described,
    learnt,
    style_of,
)

CHANNELS = 6
STYLES = ("waltz", "march", "drone")


def music(style: int, seed: int, frames: int = 3 * WINDOW_FRAMES) -> np.ndarray:
    """Latents of a style: a small offset in one channel, beside a wild one that says nothing."""
    random = np.random.default_rng((style, seed))
    latents = random.standard_normal((CHANNELS, frames))
    latents[style] += 1.0
    latents[5] += 30.0 * random.standard_normal()
    return latents.astype(np.float32)


def examples(pieces: int = 12) -> list[Example]:
    return [
        Example(name, [f"a {name}", f"{name} {seed}"], music(style, seed))
        for style, name in enumerate(STYLES)
        for seed in range(pieces)
    ]


def test_pieces_that_were_not_heard_are_told_apart():
    table, styles = learnt(examples())
    for style, name in enumerate(STYLES):
        for seed in range(100, 110):
            nearest = table.nearest(music(style, seed))
            assert nearest[0][0] == f"a {name}"
            assert styles[table.prompts.index(f"a {name}")] == name
            assert sum(weight for _, weight in nearest) == pytest.approx(1.0, abs=0.002)


def test_what_lies_between_two_styles_is_both():
    table, _ = learnt(examples())
    between = music(0, 7, 12 * WINDOW_FRAMES)
    between[0] -= 0.5
    between[1] += 0.5
    weights = dict(table.nearest(between))
    assert weights["a waltz"] + weights["a march"] > 0.9
    assert min(weights["a waltz"], weights["a march"]) > 0.1


def test_a_rare_style_is_left_out_and_one_style_is_not_enough():
    rare = [Example("polka", ["a polka"], music(3, seed)) for seed in range(3)]
    assert "a polka" not in learnt([*examples(), *rare])[0].prompts
    with pytest.raises(InputError, match="no two styles"):
        learnt(rare)


def test_any_length_is_described():
    """From one frame on; a short piece is one window."""
    for frames, windows in ((1, 1), (WINDOW_FRAMES - 1, 1), (WINDOW_FRAMES, 1), (300, 2)):
        found = described(np.ones((CHANNELS, frames), np.float32))
        assert found.shape == (windows, 3 * CHANNELS)
        assert np.allclose(found[:, :CHANNELS], 1.0)
        assert np.allclose(found[:, CHANNELS:], 0.0)


def test_a_soloist_is_an_instrument_and_a_band_a_style():
    solo = {"captions": ["celesta", "solo celesta"], "stems": [{"name": "celesta"}]}
    band = {"captions": ["house"], "stems": [{"name": "kit"}], "facts": {"style": "dance"}}
    assert style_of({**solo, "facts": {"style": "player"}}) == "celesta"
    assert style_of(band) == "dance"
    assert style_of({"captions": ["rain"]}) == "rain"


def test_a_table_is_read_as_it_was_written(tmp_path: Path):
    table, _ = learnt(examples())
    (tmp_path / FILE_NAME).write_text(json.dumps(table.to_dict()))
    again = StyleTable.read(tmp_path)
    assert again is not None
    assert again.nearest(music(1, 50)) == table.nearest(music(1, 50))
    assert StyleTable.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"styles": {}, "directions": [1]}', '{"styles": {"a": [1]}}', "7",
             '{"styles": {"a": [1, 2], "b": [1]}, "directions": [[1, 2]]}'],
)  # fmt: skip
def test_a_damaged_table_is_refused_in_one_line(tmp_path: Path, text: str):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(InputError, match="is damaged"):
        StyleTable.read(tmp_path)
