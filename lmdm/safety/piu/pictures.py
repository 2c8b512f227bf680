"""Folders of face pictures in and out, in order of name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmdm.errors import InputError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def read_pictures(folder: Path, size: int) -> Tensor:
    """[N, 3, size, size] in [-1, 1]; others are cut square about the middle and scaled.

    Raises:
        InputError: no folder, no picture in it, or one that cannot be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    except OSError as problem:
        raise InputError(f"the folder {folder} cannot be read: {problem.strerror}") from None
    if not paths:
        raise InputError(f"{folder} holds no picture ({', '.join(ENDINGS)})")
    read = []
    for path in paths:
        try:
            with Image.open(path) as file:
                upright = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as problem:
            raise InputError(f"{path} cannot be read as a picture ({problem})") from None
        pixels = np.asarray(ImageOps.fit(upright, (size, size)), np.float32)
        read.append(torch.from_numpy(pixels / 127.5 - 1.0).permute(2, 0, 1))
    return torch.stack(read)


def write_pictures(pictures: Tensor, folder: Path) -> None:
    """Pictures [N, 3, H, W] in [-1, 1] as 00000.png and on."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    whole = ((pictures.permute(0, 2, 3, 1) + 1.0) * 127.5).round().to(torch.uint8).numpy()
    for index, pixels in enumerate(whole):
        Image.fromarray(pixels).save(folder / f"{index:05d}.png")
