"""Pictures of pictures: grids of tensors, written as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lmdm.weights import write_beside

GAP = 2  # white pixels between pictures


def to_image(picture: Tensor) -> Image.Image:
    """[3, H, W] in about 0..1 -> 8-bit RGB, clamped and rounded."""
    levels = (picture.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.permute(1, 2, 0).numpy()))


def save_image(picture: Image.Image | Tensor, path: Path) -> None:
    """Writes a PNG beside `path` and renames it."""
    image = to_image(picture) if isinstance(picture, Tensor) else picture
    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, lambda part: image.save(part, format="PNG"))


def grid(rows: Sequence[Tensor]) -> Image.Image:
    """Rows of pictures, each [n, 3, H, W], all of one size, one row below another."""
    height, width = rows[0].shape[-2:]
    columns = max(len(row) for row in rows)
    size = (columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            sheet.paste(to_image(picture), (left * (width + GAP), top * (height + GAP)))
    return sheet


def square(pictures: Tensor) -> Image.Image:
    """Pictures [n, 3, H, W] in as square a grid as they fill."""
    columns = max(1, round(len(pictures) ** 0.5))
    return grid(list(pictures.split(columns)))
