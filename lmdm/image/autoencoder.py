"""Stage 1: the representation autoencoder, with detail-condensing queries (DecQ) or without (RAE).

The backbone stays outside the module and frozen: what is trained and saved here is the condenser
and the decoder, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.image.backbones.protocol import Features, VisionBackbone
from lmdm.image.condenser import DetailCondenser
from lmdm.image.decoder import ViTDecoder

READS = ("intermediate", "last-layer", "nothing")


class Latents(NamedTuple):
    """Pictures' tokens in both groups."""

    z: Tensor  # patch tokens [B, N, D], untouched from the backbone
    q: Tensor | None  # detail tokens [B, Q, D]; None for a plain RAE

    def to(self, device: torch.device) -> Latents:
        """On a device, in float32."""
        return Latents(*(None if t is None else t.to(device, torch.float32) for t in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class AutoencoderConfig:
    """Stage 1 as data. queries = 0 is the RAE baseline.

    read: what the queries read. "intermediate", the taps (DecQ); "last-layer", the last layer as
    often as there are taps (the parameter-matched control); "nothing", no picture at all (learned
    register tokens).
    """

    backbone: str = "small-vit"
    backbone_size: int = 64  # pixels a side that the backbone looks at
    backbone_fingerprint: str = ""  # SHA-256 of its weights
    resolution: int = 64  # pixels a side that the decoder makes
    queries: int = 8
    taps: tuple[int, ...] = (0, 2, 4)
    read: str = "intermediate"
    condenser_multiplier: int = 4  # width within the condenser's MLP, over its own
    self_attention: bool = False
    gate: bool = False
    decoder_dim: int = 128
    decoder_depth: int = 4
    decoder_heads: int = 4

    def __post_init__(self) -> None:
        if self.read not in READS:
            raise InputError(f"queries cannot read {self.read!r}; they read {', '.join(READS)}")
        if self.queries < 0:
            raise InputError(f"queries is {self.queries}; it must be 0 (a plain RAE) or more")
        if self.queries and self.read != "nothing" and not self.taps:
            raise InputError("queries need at least one tap to read, such as --taps 0,2,4")
        if list(self.taps) != sorted(set(self.taps)):
            raise InputError(f"taps {self.taps} must rise, from shallow to deep, each once")
        if min(self.resolution, self.backbone_size, self.decoder_dim, self.decoder_heads) < 1:
            raise InputError("resolution, decoder dim and decoder heads must be 1 or more")
        if self.decoder_dim % self.decoder_heads:
            raise InputError(
                f"decoder dim {self.decoder_dim} is not divisible by {self.decoder_heads} heads"
            )

    def read_taps(self, depth: int) -> tuple[int, ...]:
        """The taps that are truly read, of a backbone of `depth` layers."""
        if not self.queries or self.read == "nothing":
            return ()
        return self.taps if self.read == "intermediate" else (depth,) * len(self.taps)


class RepresentationAutoencoder(nn.Module):
    """Condenser and decoder over a frozen backbone."""

    def __init__(self, config: AutoencoderConfig, backbone: VisionBackbone) -> None:
        super().__init__()
        if config.resolution % backbone.grid:
            raise InputError(
                f"resolution {config.resolution} is not a multiple of the {backbone.grid} tokens a "
                f"side of {backbone.name} at {backbone.image_size} pixels"
            )
        self.config = config
        self.backbone_taps = config.read_taps(backbone.depth)
        self.grid, self.token_dim = backbone.grid, backbone.dim
        tap_dims = backbone.tap_dims(self.backbone_taps)
        self.condenser = (
            DetailCondenser(
                config.queries,
                backbone.dim,
                tap_dims,
                condenser_heads(backbone.dim),
                config.condenser_multiplier,
                config.self_attention,
                config.gate,
            )
            if config.queries
            else None
        )
        self.decoder = ViTDecoder(
            backbone.dim,
            backbone.grid,
            config.queries,
            config.resolution // backbone.grid,
            config.decoder_dim,
            config.decoder_depth,
            config.decoder_heads,
        )

    def condense(self, features: Features) -> Latents:
        """The backbone's tokens as they are, and the detail tokens read from its taps."""
        if self.condenser is None:
            return Latents(features.tokens, None)
        return Latents(features.tokens, self.condenser(features.taps, len(features.tokens)))

    def decode(self, latents: Latents) -> Tensor:
        """Images [B, 3, resolution, resolution], about 0..1, not clamped."""
        return self.decoder(latents.z, latents.q)

    def forward(
        self, features: Features, noise_tau: float, query_tau: float, generator: torch.Generator
    ) -> Tensor:
        """One training reconstruction: condense, add latent noise to both groups, decode."""
        z, q = self.condense(features)
        z = with_noise(z, noise_tau, generator)
        return self.decode(Latents(z, None if q is None else with_noise(q, query_tau, generator)))


def with_noise(tokens: Tensor, tau: float, generator: torch.Generator) -> Tensor:
    """tokens + sigma n, sigma ~ U(0, tau) for each picture (RAE's noise-augmented decoding)."""
    if tau == 0:
        return tokens
    device = generator.device
    sigma = tau * torch.rand(len(tokens), 1, 1, generator=generator, device=device)
    noise = torch.randn(tokens.shape, generator=generator, device=device)
    return tokens + (sigma * noise).to(tokens)


def condenser_heads(dim: int) -> int:
    """Heads of about 64 channels, or as near as `dim` divides."""
    return next(heads for heads in range(max(1, dim // 64), 0, -1) if dim % heads == 0)


@torch.no_grad()
def encode(
    autoencoder: RepresentationAutoencoder, backbone: VisionBackbone, images: Tensor
) -> Latents:
    """images [B, 3, H, W] in 0..1 -> both groups of tokens."""
    return autoencoder.condense(backbone.features(images, autoencoder.backbone_taps))


def taps_for(depth: int) -> Sequence[int]:
    """0, a quarter, a half, three quarters of the depth: DecQ's {0, 3, 6, 9} of 12."""
    return sorted({depth * quarter // 4 for quarter in range(4)})
