"""Examples: rows follow from (seed, step, row); streaming sees every piece; what is dropped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lmdm.conditioning.local import LocalConditioning
from lmdm.errors import InputError
from training.data.examples import DropoutConfig, ExampleSource
from training.data.pieces import Piece, PiecesInMemory, open_pieces
from training.data.shards import read_manifest, read_shard

CONTROLS = LocalConditioning(("notes", "beat", "chord", "loudness", "drums"))


def labelled(frames: int = 80) -> Piece:
    generator = np.random.default_rng(0)
    notes = np.array([[10, 30, 60, 100, 0], [20, 40, 64, 100, 1], [50, 52, 36, 90, 2]], np.float32)
    beats = np.stack([np.arange(0, frames, 10.0), np.arange(8) % 4], axis=1).astype(np.float32)
    chords = np.array([[0, 80, *np.eye(12)[0]]], np.float32)
    arrays = {
        "notes": notes, "beats": beats, "chords": chords,
        "loudness": np.linspace(-1, 1, frames, dtype=np.float32),
    }  # fmt: skip
    facts = {"key": "k", "captions": ["a piano", "keys"], "drum_stems": [2]}
    latents = generator.normal(size=(4, frames)).astype(np.float16)
    return Piece(latents, arrays, facts)


def embed(text: str) -> np.ndarray:
    return np.full((1, 3), len(text), np.float32)


def source(dropout: DropoutConfig | None = None, frames: int = 16) -> ExampleSource:
    made = ExampleSource(PiecesInMemory([labelled()]), CONTROLS, embed, 3, frames, seed=5)
    if dropout is not None:
        made.dropout = dropout
    return made


def test_a_row_is_the_same_in_whatever_company() -> None:
    together = source().batch(7, [0, 1, 2, 3], 4)
    apart = source().batch(7, [2], 4)
    assert np.array_equal(together.latents[2], apart.latents[0])
    assert np.array_equal(together.local[2], apart.local[0])
    assert not np.array_equal(together.latents[0], together.latents[1])
    assert not np.array_equal(source().batch(8, [2], 4).latents, apart.latents)


def test_latents_and_controls_are_of_the_same_frames() -> None:
    batch, piece = source().batch(0, list(range(8)), 8), labelled()
    level = CONTROLS.slices["loudness"].start + 1
    ramp = piece.arrays["loudness"]
    for latents, local in zip(batch.latents, batch.local, strict=True):
        start = int(np.abs(ramp - float(local[level, 0])).argmin())
        assert np.array_equal(latents, piece.latents[:, start : start + 16].astype(np.float32))
    drums = piece.controls(0, 80)["drums"]
    assert drums[50] == 1.0
    assert drums[0] == 0.0


def test_bass_is_on_around_its_notes_and_open_where_stems_are_unknown() -> None:
    piece = labelled()
    assert "bass" not in piece.controls(0, 80)
    piece.facts["bass_stems"] = [1]
    bass = piece.controls(10, 70)["bass"]  # a note from frame 20 to 40, and a second around it
    assert bass.tolist() == [1.0] * 52 + [0.0] * 18
    density = piece.controls(0, 80)["density"]
    assert density[30] == pytest.approx(np.log2(1.5 / 0.5) / 6)  # three notes in two seconds


def test_every_group_is_dropped_as_often_as_asked() -> None:
    made = source(DropoutConfig(null=0.2, text=0.3, controls=1.0))
    batch = made.batch(0, list(range(1500)), 1500)
    no_text = (batch.text == 0).all(dim=2)[:, 0].float().mean()
    assert float(no_text) == pytest.approx(1 - 0.8 * 0.7, abs=0.04)
    for name, rate in (("notes", 0.25), ("beat", 0.2), ("loudness", 0.5)):
        group = batch.local[:, CONTROLS.slices[name]]
        gone = (group == 0).flatten(1).all(dim=1).float().mean()
        assert float(gone) == pytest.approx(1 - 0.8 * (1 - rate), abs=0.05), name


def test_what_is_not_labelled_is_left_open() -> None:
    piece = labelled()
    bare = Piece(piece.latents, {}, {"key": "k", "captions": [], "drum_stems": []})
    made = ExampleSource(PiecesInMemory([bare]), CONTROLS, None, 3, 16, seed=1)
    batch = made.batch(0, [0, 1], 2)
    assert not batch.local.any()
    assert not batch.text.any()


def test_streaming_sees_every_piece_of_an_epoch_and_can_begin_anywhere(tiny_latents: Path) -> None:
    streamed = open_pieces(tiny_latents, "train", 50, streamed=True)
    assert streamed is not None
    visits = 3 * round(int(10 * 44100 / 2048) / 50)  # three pieces of ten seconds
    seen = [streamed.piece(1, 0, row, visits).facts["key"] for row in range(visits)]
    assert {seen.count(key) for key in set(seen)} == {visits // 3}
    assert len(set(seen)) == 3
    fresh = open_pieces(tiny_latents, "train", 50, streamed=True)
    assert fresh is not None
    assert fresh.piece(1, 0, 5, visits).facts["key"] == seen[5]
    order = [streamed.piece(1, 1, row, visits).facts["key"] for row in range(visits)]
    assert sorted(order) == sorted(seen)
    assert order != seen
    memory = open_pieces(tiny_latents, "train", 50)
    assert memory is not None
    assert memory.hours == pytest.approx(streamed.hours)


def test_shards_are_plain_webdataset(tiny_latents: Path) -> None:
    """Through a pipe, as an object store would give them."""
    location = f"pipe:cat {tiny_latents}/{{}}"
    manifest = read_manifest(location)
    assert manifest.entries == tuple(
        type(e)(e.shard, e.facts) for e in read_manifest(tiny_latents).entries
    )
    name = manifest.facts["shards"][0]["file"]
    keys = [facts["key"] for facts, _ in read_shard(location, name)]
    assert len(keys) == manifest.facts["shards"][0]["pieces"]
    assert manifest.facts["licences"] == ["CC0-1.0"]


def test_music_that_is_too_short_and_shards_that_are_damaged_are_named(
    tiny_latents: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no train piece is 5000 frames long"):
        open_pieces(tiny_latents, "train", 5000)
    with pytest.raises(InputError, match="no encoded music"):
        open_pieces(tmp_path, "train", 10)
    copy = tmp_path / "copy"
    shutil.copytree(tiny_latents, copy)
    shard = copy / read_manifest(copy).facts["shards"][0]["file"]
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(InputError, match=shard.name):
        open_pieces(copy, "train", 10)


def divided() -> Piece:
    piece = labelled()
    arrays = {**piece.arrays, "brightness": np.full(80, 0.5, np.float32)}
    for name in ("loudness", "brightness"):
        arrays[f"rest.{name}"] = np.zeros(80, np.float32)
    arrays["input"], arrays["rest"] = (np.full((64, 80), v, np.float16) for v in (1.0, 2.0))
    division = {"input_stems": [0], "captions": ["the others"]}
    latents = np.zeros((64, 80), np.float16)
    return Piece(latents, arrays, {**piece.facts, "key": "d", "division": division})


def test_some_rows_of_a_divided_piece_go_with_its_input() -> None:
    hears = LocalConditioning(("notes", "accompaniment"))
    place = hears.slices["accompaniment"]
    made = ExampleSource(PiecesInMemory([divided()]), hears, embed, 3, 40, seed=5)
    batch = made.batch(0, list(range(400)), 400)
    rest = batch.latents[:, 0, 0] == 2.0
    assert 0.6 < float(rest.float().mean()) < 0.8
    assert not batch.local[~rest][:, place].any()
    given = batch.local[rest][:, place]
    assert given[:, 0].any(dim=1).all()
    assert float(given[:, 1:].max()) == 1.0
    deaf = ExampleSource(PiecesInMemory([divided()]), CONTROLS, embed, 3, 40, seed=5)
    assert not (deaf.batch(0, [0, 1, 2], 3).latents == 2.0).any()


def test_divided_pieces_are_drawn_as_often_as_asked() -> None:
    pieces = PiecesInMemory([labelled(), divided()], divided_weight=3.0)
    keys = [pieces.piece(0, 0, row, 1).facts["key"] for row in range(1000)]
    assert keys.count("d") / 1000 == pytest.approx(0.75, abs=0.05)
