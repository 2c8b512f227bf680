"""Stage 1's losses: L1, a perceptual distance, and RAE's adversarial term (dossier §2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.image.backbones import registry
from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.backbones.small_vit import SmallViTBackbone


class PerceptualDistance:
    """LPIPS without its learned weights (arXiv 1801.03924): how far apart two pictures look.

    Features of a frozen network at several depths, each position scaled to unit length; the mean
    squared difference, summed over depths. LPIPS itself needs weights that no package carries.
    """

    def __init__(self, judge: VisionBackbone, taps: Sequence[int] | None = None) -> None:
        self.judge = judge
        self.taps = tuple(taps or sorted({judge.depth * part // 5 for part in range(1, 6)}))

    def __call__(self, images: Tensor, references: Tensor) -> Tensor:
        """Both [B, 3, H, W] in 0..1 -> [B], 0 for equal pictures; gradients reach `images`."""
        with torch.no_grad():
            wanted = self.judge.features(references, self.taps).taps
        seen = self.judge.features(images.clamp(0, 1), self.taps).taps
        return torch.stack(
            [
                (F.normalize(one.float(), dim=-1) - F.normalize(two.float(), dim=-1))
                .square()
                .sum(-1)
                .mean(-1)
                for one, two in zip(seen, wanted, strict=True)
            ]
        ).sum(0)


class Discriminator(nn.Module):
    """Small heads on a frozen backbone's features, as RAE's on DINO (after StyleGAN-T).

    Each tap has its own head, which judges every patch: real is high, made is low.
    """

    def __init__(self, backbone: VisionBackbone, width: int = 64) -> None:
        super().__init__()
        depth = backbone.depth
        self.taps = tuple(sorted({depth * part // 4 for part in range(1, 5)}))
        self._backbone = (backbone,)  # in a tuple: frozen, and no part of this module
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
            )
            for dim in backbone.tap_dims(self.taps)
        )

    def forward(self, images: Tensor) -> Tensor:
        """images [B, 3, H, W] in 0..1 -> logits [B, n], of all patches at all taps."""
        taps = self._backbone[0].features(images.clamp(0, 1), self.taps).taps
        return torch.cat(
            [head(tap).squeeze(-1) for head, tap in zip(self.heads, taps, strict=True)], dim=1
        )


def discriminator_hinge(real: Tensor, made: Tensor) -> Tensor:
    """Mean of max(0, 1 - real) and of max(0, 1 + made), halved."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + made).mean())


def adaptive_weight(
    reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, largest: float = 1e4
) -> Tensor:
    """Ratio of both losses' gradient norms at the decoder's last weights (VQGAN), at most 1e4."""
    wanted = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)[0]
    found = torch.autograd.grad(adversarial, last_layer, retain_graph=True)[0]
    return (wanted.norm() / (found.norm() + 1e-6)).clamp(0, largest).detach()


def judge_for(backbone: VisionBackbone, resolution: int) -> VisionBackbone:
    """Who judges likeness: EfficientNet-Lite0 if it is installed, else the small ViT that ships.

    Never the backbone whose latents are judged, if that can be avoided.
    """
    size = min(224, max(64, 32 * round(resolution / 32)))
    try:
        return registry.load("efficientnet-lite0", size)
    except InputError:
        if isinstance(backbone, SmallViTBackbone):
            return backbone
        return registry.load("small-vit", 64)
