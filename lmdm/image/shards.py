"""Latents of a folder of pictures, in sharded safetensors.

    OUT/index.json                  what made them, the shards, names, labels, skipped files
    OUT/latents-00000.safetensors   z [n, N, D] and q [n, Q, D]; the names are in its metadata

Shard k holds the good ones of files k S to (k + 1) S, so that a killed run goes on at the shard it
was at, and several processes share the work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from lmdm.config import read_json, remove_parts, write_json
from lmdm.errors import InputError
from lmdm.image.autoencoder import Latents, RepresentationAutoencoder, encode
from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.folder import (
    Pixels,
    as_tensor,
    class_of,
    find_images,
    fingerprint_of,
    read_images,
)
from lmdm.weights import write_beside

INDEX = "index.json"


def encode_folder(
    root: Path,
    out: Path,
    autoencoder: RepresentationAutoencoder,
    backbone: VisionBackbone,
    autoencoder_sha256: str,
    accelerator: Accelerator,
    batch: int = 32,
    shard: int = 1024,
    half: bool = False,
    workers: int = 0,
) -> LatentShards:
    """Encodes every picture below `root`; goes on where an earlier call was stopped.

    Raises:
        InputError: root has no picture that can be read, or out holds latents of something else.
    """
    paths = find_images(root)
    made_by = {
        "autoencoder_sha256": autoencoder_sha256,
        "files": fingerprint_of(root, paths),
        "shard": shard,
        "half": half,
    }
    if accelerator.is_main_process:
        _claim(out, made_by)
    accelerator.wait_for_everyone()
    starts = range(0, len(paths), shard)
    mine = list(enumerate(starts))[accelerator.process_index :: accelerator.num_processes]
    bar = tqdm(
        total=sum(len(paths[start : start + shard]) for _, start in mine),
        desc="encode",
        disable=None if accelerator.is_main_process else True,
    )
    for number, start in mine:
        some = paths[start : start + shard]
        path = _shard_path(out, number)
        if _names_of(path) is None:
            _write_shard(
                path, root, some, autoencoder, backbone, accelerator, batch, half, workers, bar
            )
        else:
            bar.update(len(some))
    bar.close()
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _write_index(out, root, made_by, len(starts))
    accelerator.wait_for_everyone()
    return LatentShards(out)


def _claim(out: Path, made_by: dict[str, Any]) -> None:
    """Says in OUT/encode.json what is being encoded, or checks that it is the same as before."""
    out.mkdir(parents=True, exist_ok=True)
    remove_parts(out)
    path = out / "encode.json"
    if path.exists():
        before = read_json(path)
        for key, value in made_by.items():
            if before.get(key) != value:
                raise InputError(
                    f"{out} holds latents whose {key} differs ({before.get(key)!r}, not "
                    f"{value!r}); give another folder, or remove it"
                )
    else:
        write_json(path, made_by)


def _shard_path(out: Path, number: int) -> Path:
    return out / f"latents-{number:05d}.safetensors"


def _names_of(path: Path) -> tuple[list[str], dict[str, str]] | None:
    """Names and skipped files of a whole shard; None where there is none."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["pictures"])
    except SafetensorError as problem:
        raise InputError(f"{path} is damaged ({problem}); remove it and encode again") from None
    return about["names"], about["skipped"]


def _write_shard(
    path: Path,
    root: Path,
    paths: list[Path],
    autoencoder: RepresentationAutoencoder,
    backbone: VisionBackbone,
    accelerator: Accelerator,
    batch: int,
    half: bool,
    workers: int,
    bar: tqdm,
) -> None:
    names: list[str] = []
    skipped: dict[str, str] = {}
    parts: list[Latents] = []
    waiting: list[Pixels] = []

    def flush() -> None:
        if waiting:
            images = as_tensor(waiting).to(accelerator.device)
            with accelerator.autocast():
                made = encode(autoencoder, backbone, images)
            parts.append(made.to(torch.device("cpu")))
            waiting.clear()

    for picture, pixels in read_images(paths, autoencoder.config.resolution, workers):
        name = picture.relative_to(root).as_posix()
        if isinstance(pixels, str):
            skipped[name] = pixels
        else:
            names.append(name)
            waiting.append(pixels)
        if len(waiting) == batch:
            flush()
        bar.update()
    flush()
    tensors = stacked(parts, autoencoder)
    tensors = {name: value.half() if half else value for name, value in tensors.items()}
    about = {"pictures": json.dumps({"names": names, "skipped": skipped})}  # one key: no order
    write_beside(path, lambda part: save_file(tensors, part, about))


def stacked(parts: list[Latents], autoencoder: RepresentationAutoencoder) -> dict[str, Tensor]:
    """z and, where there are queries, q of several batches, perhaps of none."""
    dim = autoencoder.token_dim
    empty = torch.zeros(0, autoencoder.grid**2, dim)
    tensors = {"z": torch.cat([empty, *(part.z for part in parts)])}
    if autoencoder.config.queries:
        empty = torch.zeros(0, autoencoder.config.queries, dim)
        tensors["q"] = torch.cat([empty, *(part.q for part in parts if part.q is not None)])
    return {name: value.contiguous() for name, value in tensors.items()}


def _write_index(out: Path, root: Path, made_by: dict[str, Any], shards: int) -> None:
    names: list[str] = []
    skipped: dict[str, str] = {}
    counts: dict[str, int] = {}
    for number in range(shards):
        path = _shard_path(out, number)
        found = _names_of(path)
        assert found is not None
        names += found[0]
        skipped |= found[1]
        counts[path.name] = len(found[0])
    if not names:
        first, why = next(iter(skipped.items()))
        raise InputError(f"no picture of {root} can be read; the first, {first}: {why}")
    classes = sorted({class_of(name) for name in names})
    write_json(
        out / INDEX,
        made_by
        | {
            "images": str(root),
            "shards": counts,
            "names": names,
            "classes": classes,
            "labels": [classes.index(class_of(name)) for name in names],
            "skipped": skipped,
        },
    )


class LatentShards:
    """Reads what `encode_folder` wrote, by row, without loading it all."""

    def __init__(self, folder: Path) -> None:
        index = read_json(folder / INDEX)
        self.folder, self.index = folder, index
        self.names: list[str] = index["names"]
        self.labels: NDArray[np.int64] = np.array(index["labels"], dtype=np.int64)
        self.skipped: dict[str, str] = index["skipped"]
        counts = [count for count in index["shards"].values() if count]
        self._files = [
            safe_open(folder / name, "pt") for name, count in index["shards"].items() if count
        ]
        self._ends = np.cumsum(counts)
        self._queries = "q" in set(self._files[0].keys())

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, rows: NDArray[np.int64]) -> Latents:
        """z and q of some pictures, in float32."""
        files = np.searchsorted(self._ends, rows, side="right")
        z = self._gather("z", files, rows)
        return Latents(z, self._gather("q", files, rows) if self._queries else None)

    def _gather(self, name: str, files: NDArray[np.int64], rows: NDArray[np.int64]) -> Tensor:
        slices = {int(file): self._files[file].get_slice(name) for file in set(files.tolist())}
        starts = np.concatenate([[0], self._ends])
        return torch.stack(
            [
                slices[file][row - int(starts[file])]
                for file, row in zip(files.tolist(), rows.tolist(), strict=True)
            ]
        ).float()

    def batches(self, size: int = 256) -> Iterator[Latents]:
        """All of them, in order."""
        for start in range(0, len(self), size):
            yield self.rows(np.arange(start, min(start + size, len(self))))
