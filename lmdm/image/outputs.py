"""Folders of pictures that a model makes: what is there already is not made again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lmdm.config import begin, remove_parts
from lmdm.errors import InputError
from lmdm.image.autoencoder import Latents, RepresentationAutoencoder, encode
from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.folder import Pixels, as_tensor, find_images, read_image, read_images
from lmdm.image.generator import generate_latents, starting_noise
from lmdm.image.grids import grid, save_image, square
from lmdm.image.joint_dit import JointDiT
from lmdm.image.probes import probed
from lmdm.image.statistics import LatentStatistics
from lmdm.sharding import WHOLE, Shard

SHOWN = 8  # pictures in a row of the reconstruction grid
SAMPLES_SHOWN = 64  # pictures in the grid of samples


def claim(out: Path, made_by: Mapping[str, Any], shard: Shard = WHOLE) -> None:
    """Says in OUT/made_by.json what makes these pictures, or checks that it is the same as before.

    Raises:
        InputError: the folder holds pictures that something else made.
    """
    if shard.whole:  # others may be writing theirs
        remove_parts(out)
    begin(out / "made_by.json", made_by, "pictures")


def reconstruct_folder(
    root: Path,
    out: Path,
    autoencoder: RepresentationAutoencoder,
    backbone: VisionBackbone,
    device: torch.device,
    batch: int,
    workers: int,
    shard: Shard = WHOLE,
) -> tuple[int, dict[str, str]]:
    """Each picture below `root` through the tokens and back, at the same path below OUT/pictures.

    Returns how many of the share were made or there already, and which files were skipped and why.
    Writes, unless it is only a share, grid.png: originals, reconstructions, and reconstructions
    with every picture's detail tokens replaced by their mean.
    """
    paths = find_images(root)
    target = {path: out / "pictures" / f"{path.relative_to(root)}.png" for path in paths}
    mine = shard.share(paths)
    waiting = [path for path in mine if not target[path].exists()]
    skipped: dict[str, str] = {}
    some: list[tuple[Path, Pixels]] = []

    def flush() -> None:
        if some:
            images = as_tensor([pixels for _, pixels in some]).to(device)
            made = autoencoder.decode(encode(autoencoder, backbone, images))
            for (path, _), picture in zip(some, made, strict=True):
                save_image(picture, target[path])
            some.clear()

    reading = read_images(waiting, autoencoder.config.resolution, workers)
    for path, pixels in tqdm(reading, total=len(waiting), desc="reconstruct", disable=None):
        if isinstance(pixels, str):
            skipped[path.relative_to(root).as_posix()] = pixels
        else:
            some.append((path, pixels))
        if len(some) == batch:
            flush()
    flush()
    if not shard.whole:
        return len(mine) - len(skipped), skipped
    good = [path for path in paths if path.relative_to(root).as_posix() not in skipped]
    if not good:
        first, why = next(iter(skipped.items()))
        raise InputError(f"no picture of {root} can be read; the first, {first}: {why}")
    shown = [good[i * len(good) // SHOWN] for i in range(SHOWN)] if len(good) > SHOWN else good
    images = as_tensor([read_image(path, autoencoder.config.resolution) for path in shown])
    save_image(
        grid(reconstruction_rows(autoencoder, backbone, images.to(device))), out / "grid.png"
    )
    return len(good), skipped


@torch.no_grad()
def reconstruction_rows(
    autoencoder: RepresentationAutoencoder, backbone: VisionBackbone, images: Tensor
) -> list[Tensor]:
    """Originals, reconstructions and, of DecQ, reconstructions without a picture's own details."""
    latents = encode(autoencoder, backbone, images)
    rows = [images, autoencoder.decode(latents)]
    if latents.q is not None:
        rows.append(autoencoder.decode(Latents(latents.z, probed(latents.q, "mean"))))
    return rows


def generate_folder(
    out: Path,
    count: int,
    dit: JointDiT,
    statistics: LatentStatistics,
    decoder: RepresentationAutoencoder,
    labels: Tensor,
    seed: int,
    steps: int,
    shift: float,
    guidance: float,
    guide: JointDiT | None,
    batch: int,
    device: torch.device,
) -> None:
    """OUT/pictures/000000.png and on, then grid.png. A decoder without queries drops them."""
    paths = [out / "pictures" / f"{number:06d}.png" for number in range(count)]
    bar = tqdm(total=count, desc="generate", disable=None)
    for first in range(0, count, batch):
        some = range(first, min(first + batch, count))
        if not all(paths[number].exists() for number in some):
            noise = starting_noise(dit, seed, first, len(some)).to(device)
            part = labels[first : first + len(some)].to(device)
            x = generate_latents(dit, noise, part, steps, shift, guidance, guide)
            z, q = statistics.denormalize(x)
            with torch.no_grad():
                made = decoder.decode(Latents(z, q if decoder.config.queries else None))
            for number, picture in zip(some, made, strict=True):
                save_image(picture, paths[number])
        bar.update(len(some))
    bar.close()
    shown = [read_image(path, decoder.config.resolution) for path in paths[:SAMPLES_SHOWN]]
    save_image(square(as_tensor(shown)), out / "grid.png")


def spread_labels(count: int, classes: int, chosen: int | None) -> Tensor:
    """One class for all, or every class in turn."""
    if chosen is not None:
        return torch.full((count,), chosen)
    return torch.from_numpy(np.arange(count) % classes)
