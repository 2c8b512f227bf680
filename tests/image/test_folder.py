from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lmdm.errors import InputError
from lmdm.image.folder import BadImage, class_of, find_images, read_image, read_images


def halves(size: int = 32) -> Image.Image:
    """Left red, right blue."""
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:, : size // 2, 0] = pixels[:, size // 2 :, 2] = 255
    return Image.fromarray(pixels)


def test_pictures_are_turned_as_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter to the right: left goes up
    halves().save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = read_image(tmp_path / "turned.jpg", 32).astype(int)
    assert pixels[0, 2:10].mean() > 240 and pixels[2, 22:30].mean() > 240


def test_short_side_is_scaled_and_the_middle_cut(tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste((255, 0, 0), (100, 0, 200, 100))
    wide.save(tmp_path / "wide.png")
    pixels = read_image(tmp_path / "wide.png", 20)
    assert pixels.shape == (3, 20, 20)
    assert (pixels[:, 5:15, 5:15].reshape(3, -1).T == (255, 0, 0)).all()


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    palette = Image.new("P", (16, 16), 0)
    palette.info["transparency"] = 0
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "clear.png", 8).min() == 255
    assert read_image(tmp_path / "palette.png", 8).min() == 255


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "I;16", "LA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    if mode == "I;16":
        wide = Image.fromarray(np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16))
    else:
        wide = halves(16).convert(mode)
    wide.save(tmp_path / f"it.{suffix}")
    pixels = read_image(tmp_path / f"it.{suffix}", 16)
    assert pixels.shape == (3, 16, 16) and pixels.max() > pixels.min()


def bomb(path: Path) -> None:
    """A tiny PNG that says it is 60 000 pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_bad_files_say_why(tmp_path: Path, pictures: Path) -> None:
    bomb(pictures / "bomb.png")
    halves().save(tmp_path / "it.gif")
    (tmp_path / "it.gif").rename(pictures / "gif.png")
    (pictures / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    found = dict(read_images(find_images(pictures), 16))
    bad = {path.name: why for path, why in found.items() if isinstance(why, str)}
    assert set(bad) == {"empty.png", "text.jpg", "cut.png", "bomb.png", "gif.png", "dangling.png"}
    assert "pixels" in bad["bomb.png"] and all("\n" not in why and why for why in bad.values())
    assert len(found) - len(bad) == 12


def test_readers_in_other_processes_find_the_same(pictures: Path) -> None:
    paths = find_images(pictures)
    alone, helped = list(read_images(paths, 16)), list(read_images(paths, 16, workers=1))
    for (path, one), (other, two) in zip(alone, helped, strict=True):
        assert path == other and np.array_equal(one, two)


def test_folders_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=str(root)):
            find_images(root)
    with pytest.raises(BadImage):
        read_image(tmp_path / "missing.png", 8)


def test_the_first_folder_is_the_class() -> None:
    assert class_of("cats/small/1.png") == "cats" and class_of("1.png") == "."
