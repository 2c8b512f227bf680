"""Folders of face pictures in and out, in order of name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lmdm.errors import InputError
from lmdm.weights import write_beside

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def read_pictures(folder: Path, size: int) -> Tensor:
    """[N, 3, size, size] in [-1, 1]; others are cut square about the middle and scaled.

    Raises:
        InputError: no folder, no picture in it, or one that cannot be read.
    """
    from lmdm.image.folder import BadImage, read_image

    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    except OSError as problem:
        raise InputError(f"the folder {folder} cannot be read: {problem.strerror}") from None
    if not paths:
        raise InputError(f"{folder} holds no picture ({', '.join(ENDINGS)})")
    read = []
    for path in paths:
        try:
            read.append(torch.from_numpy(read_image(path, size)).float() / 127.5 - 1.0)
        except BadImage as problem:
            raise InputError(f"{path} cannot be read as a picture ({problem})") from None
    return torch.stack(read)


def write_pictures(pictures: Tensor, folder: Path) -> None:
    """Pictures [N, 3, H, W] in [-1, 1] as 00000.png and on."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    whole = ((pictures.permute(0, 2, 3, 1) + 1.0) * 127.5).round().to(torch.uint8).numpy()
    for index, pixels in enumerate(whole):
        path = folder / f"{index:05d}.png"
        write_beside(path, partial(Image.fromarray(pixels).save, format="PNG"))
