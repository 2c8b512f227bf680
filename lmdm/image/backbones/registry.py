"""Backbones by name or path."""

from __future__ import annotations

from pathlib import Path

from lmdm.config import read_json
from lmdm.image.backbones.protocol import VisionBackbone


def load(name: str, image_size: int | None = None) -> VisionBackbone:
    """A frozen backbone: small-vit, efficientnet-lite0, a folder, or a hub id.

    image_size: pixels a side that it looks at; None takes its own default.

    Raises:
        InputError: it cannot be had, or does not take that size.
    """
    from lmdm.image.backbones import small_vit

    if name == "small-vit":
        return small_vit.load_small_vit(small_vit.SHIPPED, image_size, name)
    if name == "efficientnet-lite0":
        from lmdm.image.backbones.efficientnet import load_efficientnet

        return load_efficientnet(image_size)
    folder = Path(name)
    config = folder / "config.json"
    if config.exists() and read_json(config).get("type") == "small-vit":
        return small_vit.load_small_vit(folder, image_size, name)
    from lmdm.image.backbones.transformers_vit import load_transformers

    return load_transformers(name, image_size)
