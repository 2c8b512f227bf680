from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmdm.image.dataset import opened, prepare, rows_of_step
from lmdm.image.folder import read_image


@given(st.integers(1, 9), st.integers(1, 23), st.integers(1, 3))
def test_every_epoch_sees_every_picture_once(batch: int, count: int, processes: int) -> None:
    steps = 2 * count  # enough for whole epochs
    seen = np.concatenate(
        [
            rows_of_step(step, batch, count, 5, process, processes)
            for step in range(steps)
            for process in range(processes)
        ]
    )
    for epoch in range(len(seen) // count):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_epochs_and_seeds_are_shuffled_apart() -> None:
    rows = [rows_of_step(step, 50, 50, seed).tolist() for step, seed in ((0, 1), (1, 1), (0, 2))]
    assert rows[0] != rows[1] != rows[2] != rows[0]


def test_a_folder_is_decoded_once_and_again_when_it_changes(tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / "prepared"
    first = prepare(pictures, 16, out)
    assert len(first) == 12 and first.classes == ("cats", "dogs") and len(first.skipped) == 3
    assert first.labels == (0,) * 6 + (1,) * 6
    name = first.names[3]
    assert np.array_equal(first.pixels[3], read_image(pictures / name, 16))
    assert first.batch([3, 4]).shape == (2, 3, 16, 16)
    stamp = (out / "pictures.u8").stat().st_mtime_ns
    assert prepare(pictures, 16, out).names == first.names
    assert (out / "pictures.u8").stat().st_mtime_ns == stamp
    (pictures / name).unlink()
    assert len(prepare(pictures, 16, out)) == 11 == len(opened(out))
    assert prepare(pictures, 24, out).pixels.shape == (11, 3, 24, 24)


def test_decoding_that_was_cut_short_begins_again(tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / "prepared"
    prepare(pictures, 16, out)
    (out / "pictures.json").unlink()  # as if killed before it was written
    (out / "pictures.u8").write_bytes(b"cut short")
    assert len(prepare(pictures, 16, out)) == 12
    assert not list(out.glob("*.part"))
