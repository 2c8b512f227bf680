"""The small ViT that ships: patches of 8 pixels, six layers of 96 channels, 0.7 M parameters.

Trained by `training/recipes/small_vit`. It works at any size that is a multiple of 8, since its
positions are fixed sines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmdm.config import from_dict, read_json
from lmdm.errors import InputError
from lmdm.image.backbones import protocol
from lmdm.image.backbones.protocol import Features
from lmdm.image.layers import SelfAttentionBlock, patchify, sincos_positions
from lmdm.weights import load_into, save_module, write_beside

SHIPPED = Path(__file__).parent.parent / "small_vit"


@dataclass(frozen=True)
class SmallViTConfig:
    """Sizes of the small ViT."""

    patch: int = 8
    dim: int = 96
    depth: int = 6
    heads: int = 3


class SmallViT(nn.Module):
    """Patch embedding and pre-norm blocks; no class token, no register."""

    def __init__(self, config: SmallViTConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(3 * config.patch**2, config.dim)
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(config.dim, config.heads) for _ in range(config.depth)
        )

    def hidden(self, images: Tensor) -> list[Tensor]:
        """images [B, 3, H, W] in 0..1 -> the embedding and every block's output [B, N, dim]."""
        grid = images.shape[-1] // self.config.patch
        tokens = self.embed(patchify(2 * images - 1, self.config.patch))
        states = [tokens + sincos_positions(grid, self.config.dim).to(tokens)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states


class SmallViTBackbone:
    """The small ViT behind the protocol."""

    def __init__(self, vit: SmallViT, image_size: int, name: str = "small-vit") -> None:
        if image_size % vit.config.patch:
            raise InputError(
                f"the small ViT cuts patches of {vit.config.patch} pixels, so its size must be a "
                f"multiple of that, not {image_size}"
            )
        self.vit = vit
        protocol.frozen(vit)
        self.name, self.image_size = name, image_size
        self.grid = image_size // vit.config.patch
        self.dim, self.depth = vit.config.dim, vit.config.depth
        self.fingerprint = protocol.fingerprint(vit)

    def tap_dims(self, taps: Sequence[int]) -> tuple[int, ...]:
        """Every tap is `dim` wide."""
        protocol.check_taps(taps, self.depth, self.name)
        return (self.dim,) * len(taps)

    def features(self, images: Tensor, taps: Sequence[int] = ()) -> Features:
        """See `VisionBackbone`."""
        states = self.vit.hidden(protocol.resized(images, self.image_size))
        return Features(protocol.layer_norm(states[-1]), tuple(states[tap] for tap in taps))

    def to(self, device: torch.device) -> SmallViTBackbone:
        """Moves the weights."""
        self.vit.to(device)
        return self


def load_small_vit(folder: Path, image_size: int | None, name: str) -> SmallViTBackbone:
    """Reads config.json and model.safetensors of a folder; 64 pixels unless told otherwise."""
    values = read_json(folder / "config.json")
    values.pop("type", None)
    vit = SmallViT(from_dict(SmallViTConfig, values, str(folder / "config.json")))
    load_into(vit, folder / "model.safetensors")
    return SmallViTBackbone(vit, image_size or 64, name)


def save_small_vit(vit: SmallViT, folder: Path) -> None:
    """Writes what `load_small_vit` reads, in 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    save_module(vit, folder / "model.safetensors", half=True)
    document = json.dumps({"type": "small-vit", **asdict(vit.config)}, indent=2) + "\n"
    write_beside(folder / "config.json", lambda part: part.write_text(document))
