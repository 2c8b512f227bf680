"""What a frozen vision backbone is to the rest: final tokens, and hidden features at some taps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Features(NamedTuple):
    """What a backbone says of a batch of images."""

    tokens: Tensor  # z [B, grid * grid, dim]: the last layer, LayerNorm without affine (RAE)
    taps: tuple[Tensor, ...]  # F_l, each [B, N_l, tap width]: patch tokens only, before any norm


class VisionBackbone(Protocol):
    """A frozen vision foundation model.

    `features` lets gradients through to the images (perceptual and adversarial losses need that),
    never into the weights. Whoever wants no gradient at all says `torch.no_grad()`.
    """

    name: str  # what `registry.load` finds it by
    image_size: int  # pixels a side that it looks at
    grid: int  # patch tokens a side
    dim: int  # channels of a token
    fingerprint: str  # SHA-256 of its weights
    depth: int  # layers: tap 0 is the embedding, tap l the output of layer l, tap depth the last

    def tap_dims(self, taps: Sequence[int]) -> tuple[int, ...]:
        """Channels of the features at each tap."""
        ...

    def features(self, images: Tensor, taps: Sequence[int] = ()) -> Features:
        """images [B, 3, H, W] in 0..1, any size: resized to `image_size` first."""
        ...

    def to(self, device: torch.device) -> VisionBackbone:
        """Moves the weights."""
        ...


def frozen(module: nn.Module) -> nn.Module:
    """In evaluation mode, with no weight that asks for a gradient."""
    return module.eval().requires_grad_(False)


def resized(images: Tensor, size: int) -> Tensor:
    """Bicubic with antialiasing, as RAE feeds its encoder; untouched where the size is right."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def normalized(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(images - mean) / std, by channel."""
    return (images - images.new_tensor(mean).view(3, 1, 1)) / images.new_tensor(std).view(3, 1, 1)


def layer_norm(tokens: Tensor) -> Tensor:
    """LayerNorm without affine, in float32."""
    return F.layer_norm(tokens.float(), tokens.shape[-1:], eps=1e-6)


def check_taps(taps: Sequence[int], depth: int, name: str) -> None:
    """Raises InputError on a tap that the backbone does not have."""
    for tap in taps:
        if not 0 <= tap <= depth:
            raise InputError(
                f"tap {tap} is not in {name}, whose taps are 0 (embedding) to {depth} (last layer)"
            )


def fingerprint(module: nn.Module) -> str:
    """Hexadecimal SHA-256 of a module's weights in float32: tells whether two are the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
