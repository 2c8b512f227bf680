"""A small network over token sequences of one fixed length, for every discrete process.

Residual blocks that mix positions (a convolution for text, where places are alike; a full matrix
for bars of music, where each place has its meaning), then channels, both modulated by the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.errors import InputError

HEADS = 4
MOMENT = 32  # channels of the embedded time
PROCESSES = ("uniform", "lift", "masked")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes. process "lift" adds the mask symbols u as an input, "masked" one input token.

    kernel: places a convolution mixes; 0 mixes all of them by a matrix.
    """

    vocabulary: int
    length: int
    process: str = "uniform"
    width: int = 64
    layers: int = 3
    kernel: int = 5

    def __post_init__(self) -> None:
        for name in ("vocabulary", "length", "width", "layers"):
            if getattr(self, name) < 1:
                raise InputError(f"network: {name} is {getattr(self, name)}; it must be 1 or more")
        if self.process not in PROCESSES:
            raise InputError(
                f"network: unknown process {self.process!r}; known: {', '.join(PROCESSES)}"
            )
        if self.kernel == 0 and self.width % HEADS:
            raise InputError(f"network: width is {self.width}; it must be a multiple of {HEADS}")
        if self.kernel < 0 or (self.kernel and self.kernel % 2 == 0):
            raise InputError(f"network: kernel is {self.kernel}; it must be odd, or 0")


class TokenNet(nn.Module):
    """logits [B, L, K] from tokens x [B, L], times t [B] and, for the lift, symbols u [B, L]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, lifted = config.width, config.process == "lift"
        self.tokens = nn.Embedding(config.vocabulary + (config.process == "masked"), width)
        self.places = nn.Parameter(torch.zeros(config.length, width))
        if lifted:  # [e(x), e'(u), 1{x = u}]
            self.symbols = nn.Embedding(config.vocabulary, width)
            self.join = nn.Linear(2 * width + 1, width)
        self.time = nn.Sequential(nn.Linear(32, MOMENT), nn.SiLU(), nn.Linear(MOMENT, MOMENT))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.vocabulary)

    def forward(self, x: Tensor, t: Tensor, u: Tensor | None = None) -> Tensor:
        """See the class."""
        hidden = self.tokens(x)
        if u is not None:
            match = (x == u).to(hidden)[..., None]
            hidden = self.join(torch.cat([hidden, self.symbols(u), match], dim=-1))
        hidden = hidden + self.places
        moment = self.time(_features(t).to(hidden))
        for block in self.blocks:
            hidden = block(hidden, moment)
        return self.head(self.norm(hidden))


class Block(nn.Module):
    """Positions, then channels; scale and shift of both from the time."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        self.modulation = nn.Linear(MOMENT, 4 * width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.mix: nn.Module
        if config.kernel:
            self.mix = nn.Conv1d(width, width, config.kernel, padding=config.kernel // 2)
        else:
            self.mix = Places(config.length)
        self.channels = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, hidden: Tensor, moment: Tensor) -> Tensor:
        """hidden [B, L, W], moment [B, MOMENT]."""
        scale, shift, scale_2, shift_2 = self.modulation(moment)[:, None].chunk(4, dim=-1)
        mixed = self.norms[0](hidden) * (1 + scale) + shift
        hidden = hidden + F.gelu(self.mix(mixed.transpose(1, 2))).transpose(1, 2)
        return hidden + self.channels(self.norms[1](hidden) * (1 + scale_2) + shift_2)


class Places(nn.Module):
    """A matrix over all places for each group of channels: a mixer with HEADS matrices."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(HEADS, length, length))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small random matrices."""
        nn.init.normal_(self.weight, std=self.weight.shape[-1] ** -0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden [B, W, L]."""
        grouped = hidden.unflatten(1, (HEADS, -1))
        return torch.einsum("bhwl,hlm->bhwm", grouped, self.weight).flatten(1, 2)


def _features(t: Tensor) -> Tensor:
    """Sines and cosines of times in 0..1 [B, 32]."""
    frequencies = math.pi * 2.0 ** torch.linspace(-1, 6, 16, device=t.device)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
