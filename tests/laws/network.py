"""A small transformer in float64 with no zero weights, so that nothing hides."""

from __future__ import annotations

import torch

from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT

LOCAL, TEXT, GLOBAL = 5, 12, 7


def small_dit(global_dim: int = 0, local_channels: int = LOCAL, seed: int = 0) -> DiT:
    """Three layers of two heads; every weight random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = DiTConfig(
            latent_channels=6,
            dim=64,
            depth=3,
            heads=2,
            text_dim=TEXT,
            global_dim=global_dim,
            local_channels=local_channels,
            feedforward_multiplier=2,
            timestep_features=16,
        )
        dit = DiT(config)
        for name, parameter in dit.named_parameters():
            spread = 1.0 if "norm" in name or "gamma" in name else 0.15
            torch.nn.init.normal_(parameter, mean=1.0 if "gamma" in name else 0.0, std=spread)
    return dit.double().eval().requires_grad_(False)


def random(*shape: int, seed: int) -> torch.Tensor:
    """Gaussian float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)
