"""Folders of pictures: JPEG, PNG and WebP, turned as EXIF says, bad files skipped and listed."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from lmdm.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP")

Pixels = NDArray[np.uint8]


class BadImage(ValueError):  # noqa: N818 -- named as zipfile.BadZipFile is
    """A picture that cannot be read, and why."""


def find_images(root: Path) -> list[Path]:
    """Every picture below a folder, by name, sorted.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.is_file() else "does not exist"
        raise InputError(f"{root} {what}; give a folder of pictures")
    found = [
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"{root} has no picture in it ({', '.join(SUFFIXES)})")
    return sorted(found)


def fingerprint_of(root: Path, paths: list[Path]) -> str:
    """Tells whether files were added, removed or changed: SHA-256 of names, sizes and times."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
            facts = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:  # a dangling link; `open_image` says so
            facts = "missing"
        digest.update(f"{path.relative_to(root)} {facts}\n".encode())
    return digest.hexdigest()


def open_image(path: Path, size: int) -> Image.Image:
    """One picture in 8-bit RGB, upright; JPEGs are perhaps reduced, but to no less than 2 `size`.

    What is transparent is laid on white; grey and 16-bit pictures become 8-bit RGB.

    Raises:
        BadImage: the file is no picture, is damaged or cut short, or is too large to be one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                opened.draft("RGB", (2 * size, 2 * size))
                return _rgb(ImageOps.exif_transpose(opened))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadImage(
            f"more than {Image.MAX_IMAGE_PIXELS} pixels, as decompression bombs have"
        ) from None
    except Exception as problem:  # decoders raise what they like on a damaged file
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise BadImage(reason.replace(str(path), path.name)) from None


def read_image(path: Path, size: int) -> Pixels:
    """One picture [3, size, size]: its short side scaled to size, the middle cut out.

    Raises:
        BadImage: see `open_image`.
    """
    picture = ImageOps.fit(open_image(path, size), (size, size), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        wide = np.asarray(picture, dtype=np.float64)
        picture = Image.fromarray((wide / max(wide.max(), 1) * 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


class _Reading(Dataset):
    """Reads pictures one by one; a bad one becomes the sentence that says why."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Path, Pixels | str]:
        path = self.paths[index]
        try:
            return path, read_image(path, self.size)
        except BadImage as problem:
            return path, str(problem)


def read_images(
    paths: list[Path], size: int, workers: int = 0
) -> Iterator[tuple[Path, Pixels | str]]:
    """Each path with its pixels, or with why it has none. workers: processes that read ahead."""
    loader = DataLoader(
        _Reading(paths, size), batch_size=None, num_workers=workers, collate_fn=_as_it_is
    )
    yield from loader


def _as_it_is(item: Any) -> Any:
    return item


def class_of(name: str) -> str:
    """The first folder of a path below the root; pictures at the root are of the class "."."""
    return Path(name).parts[0] if len(Path(name).parts) > 1 else "."


def as_tensor(pixels: Iterable[Pixels] | Pixels) -> torch.Tensor:
    """[B, 3, H, W] in 0..1."""
    stacked = pixels if isinstance(pixels, np.ndarray) else np.stack(list(pixels))
    return torch.from_numpy(np.ascontiguousarray(stacked)).float() / 255
