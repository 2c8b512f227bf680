"""A folder of pictures made ready for training: decoded once, square, in one file on disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from lmdm.config import read_json, remove_parts, write_json
from lmdm.errors import InputError
from lmdm.image.folder import as_tensor, class_of, find_images, fingerprint_of, read_images
from lmdm.weights import write_beside

PIXELS, INDEX = "pictures.u8", "pictures.json"


@dataclass(frozen=True)
class PreparedImages:
    """The good pictures of a folder, and the list of the bad ones."""

    names: tuple[str, ...]  # paths below the folder, sorted
    labels: tuple[int, ...]  # index into classes: the first folder of each path
    classes: tuple[str, ...]
    skipped: dict[str, str]  # path -> why it could not be read
    pixels: NDArray[np.uint8]  # [n, 3, size, size], perhaps a memory map

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, rows: NDArray[np.int64] | list[int]) -> Tensor:
        """[len(rows), 3, size, size] in 0..1."""
        return as_tensor(self.pixels[rows])


def prepare(root: Path, size: int, folder: Path, workers: int = 0) -> PreparedImages:
    """Decodes `root` into `folder`, unless that has been done and nothing in root has changed.

    Raises:
        InputError: no such folder, no picture in it, or none that can be read.
    """
    paths = find_images(root)
    fingerprint = f"{size} {fingerprint_of(root, paths)}"
    index = folder / INDEX
    if not (index.exists() and read_json(index).get("fingerprint") == fingerprint):
        folder.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)
        remove_parts(folder)
        described: dict[str, Any] = {"root": str(root), "size": size, "fingerprint": fingerprint}

        def write(part: Path) -> None:
            described.update(_decode(root, paths, size, workers, part))

        write_beside(folder / PIXELS, write)
        write_json(index, described)
    return opened(folder)


def opened(folder: Path) -> PreparedImages:
    """What `prepare` left in a folder."""
    values = read_json(folder / INDEX)
    names, size = tuple(values["names"]), int(values["size"])
    classes = tuple(sorted({class_of(name) for name in names}))
    labels = tuple(classes.index(class_of(name)) for name in names)
    shape = (len(names), 3, size, size)
    pixels = np.memmap(folder / PIXELS, np.uint8, "r", shape=shape)
    return PreparedImages(names, labels, classes, dict(values["skipped"]), pixels)


def _decode(root: Path, paths: list[Path], size: int, workers: int, part: Path) -> dict[str, Any]:
    names: list[str] = []
    skipped: dict[str, str] = {}
    with part.open("wb") as file:
        reading = read_images(paths, size, workers)
        shown = tqdm(reading, total=len(paths), desc="pictures", leave=False, disable=None)
        for path, pixels in shown:
            name = path.relative_to(root).as_posix()
            if isinstance(pixels, str):
                skipped[name] = pixels
            else:
                names.append(name)
                file.write(pixels.tobytes())
    if not names:
        first, why = next(iter(skipped.items()))
        raise InputError(f"no picture of {root} can be read; the first, {first}: {why}")
    return {"names": names, "skipped": skipped}


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def rows_of_step(
    step: int, batch: int, count: int, seed: int, process: int = 0, processes: int = 1
) -> NDArray[np.int64]:
    """Which pictures one process sees at one step: epochs of shuffled pictures, cut into batches.

    It follows from the step alone, so a resumed run sees what an unbroken one would.
    """
    first = (step * processes + process) * batch
    positions = np.arange(first, first + batch)
    return np.array([_permutation(count, seed, p // count)[p % count] for p in positions.tolist()])


def seeded(
    seed: int, step: int, process: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The generator of one process at one step."""
    words = np.random.SeedSequence([seed, step, process]).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)
