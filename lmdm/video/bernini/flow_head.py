"""The per-token flow head: a token's embedding as a distribution, not a mean (MAR; dossier §2)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.diffusion.path import interpolate, velocity
from lmdm.dit.model import FourierFeatures
from lmdm.video.timesteps import flow_timesteps, shifted

SHIFT = 2.0


class ResidualBlock(nn.Module):
    """x + gate * MLP(LN(x) * (1 + scale) + shift), modulated by condition and time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[..., width], [..., width] -> [..., width]."""
        shift, scale, gate = self.modulation(F.silu(condition)).chunk(3, -1)
        return x + gate * self.mlp(F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift)


class FlowHead(nn.Module):
    """Velocity of one embedding, given its token's hidden state; its output begins at zero."""

    def __init__(self, embedding: int, condition: int, width: int = 128, blocks: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(embedding, width)
        self.condition = nn.Linear(condition, width)
        self.time = nn.Sequential(FourierFeatures(64), nn.Linear(64, width))
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.out = nn.Linear(width, embedding)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, t: Tensor, hidden: Tensor) -> Tensor:
        """x [M, E] at t [M], hidden [M, H] -> velocity [M, E]."""
        condition = self.condition(hidden) + self.time(t)
        x = self.embed(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.out(F.layer_norm(x, x.shape[-1:]))

    def loss(
        self, embedding: Tensor, hidden: Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """||g(e_tau, tau, h) - (eps - e)||^2, every token with `draws` noises (dossier §3 (a))."""
        e, h = embedding.repeat(draws, 1), hidden.repeat(draws, 1)
        t = shifted(torch.rand(len(e), generator=generator), SHIFT)
        noise = torch.randn(e.shape, generator=generator)
        guess = self(interpolate(e, noise, t[:, None]), t, h)
        return (guess - velocity(e, noise)).square().mean()

    def sample(
        self, hidden: list[tuple[float, Tensor]], steps: int, generator: torch.Generator
    ) -> Tensor:
        """Embeddings [M, E] by Euler steps of the weighted sum of velocities.

        hidden: (weight, hidden states [M, H]) of every copy; the weights of guidance sum to 1.
        """
        count = len(hidden[0][1])
        x = torch.randn(count, self.embed.in_features, generator=generator)
        x = x.to(hidden[0][1])
        timesteps = flow_timesteps(steps, SHIFT).tolist()
        for t, t_next in itertools.pairwise(timesteps):
            time = x.new_full((count,), t)
            v = sum(weight * self(x, time, h) for weight, h in hidden if weight)
            x = x + (t_next - t) * v
        return x
