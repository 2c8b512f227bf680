"""Small frozen backbones and folders of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lmdm.image.backbones.protocol import Features, layer_norm
from lmdm.image.backbones.small_vit import SmallViT, SmallViTBackbone, SmallViTConfig
from lmdm.image.layers import patchify


class GreyBackbone:
    """By construction what DecQ assumes: the first layer sees colour, the last one does not."""

    name, fingerprint = "grey", "grey"
    image_size, grid, dim, depth = 16, 4, 48, 2

    def tap_dims(self, taps: Sequence[int]) -> tuple[int, ...]:
        return (self.dim,) * len(taps)

    def features(self, images: Tensor, taps: Sequence[int] = ()) -> Features:
        colour = patchify(images, 4)
        grey = patchify(images.mean(1, keepdim=True).expand(-1, 3, -1, -1), 4)
        states = (colour, 0.5 * colour + 0.5 * grey, grey)
        return Features(layer_norm(grey), tuple(states[tap] for tap in taps))

    def to(self, device: torch.device) -> GreyBackbone:
        return self


@pytest.fixture
def grey() -> GreyBackbone:
    return GreyBackbone()


@pytest.fixture
def vit() -> SmallViTBackbone:
    torch.manual_seed(0)
    config = SmallViTConfig(patch=8, dim=24, depth=4, heads=2)
    return SmallViTBackbone(SmallViT(config), 32)


def picture(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A smooth colour picture of its own."""
    numbers = np.random.default_rng(number)
    small = Image.fromarray(numbers.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures in two classes and three formats, and three files that are none."""
    root = tmp_path / "pictures"
    for number in range(12):
        suffix = ("png", "jpg", "webp")[number % 3]
        path = root / ("cats" if number < 6 else "dogs") / f"{number:02d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    (root / "cats" / "empty.png").touch()
    (root / "dogs" / "text.jpg").write_text("not a picture")
    whole = (root / "cats" / "00.png").read_bytes()
    (root / "dogs" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return root
