"""Stage 2 as mathematics: the training loss on joint latents, and sampling back to them.

x_t = (1 - t) x + t eps,  v = eps - x,  t = s u / (1 + (s - 1) u),  u logit-normal(0, 1)
s = sqrt(tokens * channels / 4096)                              (RAE; DecQ counts its queries)
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.diffusion.path import interpolate, velocity
from lmdm.diffusion.samplers import Velocities, sample
from lmdm.image.dataset import seeded
from lmdm.image.joint_dit import JointDiT

SHIFT_BASE = 4096  # latent dimensions that need no shift


def dimension_shift(tokens: int, channels: int) -> float:
    """s: the more dimensions, the more noise it takes to hide a picture (RAE §4.2)."""
    return float((tokens * channels / SHIFT_BASE) ** 0.5)


def shifted(t: Tensor, shift: float) -> Tensor:
    """s t / (1 + (s - 1) t). Keeps 0 and 1."""
    return shift * t / (1 + (shift - 1) * t)


def velocity_loss(
    dit: torch.nn.Module,
    x: Tensor,
    labels: Tensor,
    shift: float,
    patches: int,
    query_weight: float,
    no_class: int,
    class_dropout: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of the velocity over all tokens, those of the queries times a weight.

    x [B, N + Q, D] normalised latents; one t for both groups of a picture.
    """
    count, device = len(x), generator.device
    t = torch.sigmoid(torch.randn(count, generator=generator, device=device))
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    dropped = torch.rand(count, generator=generator, device=device) < class_dropout
    t = shifted(t, shift).to(x.device)
    labels = torch.where(dropped.to(x.device), no_class, labels)
    guess = dit(interpolate(x, noise, t.view(-1, 1, 1)), t, labels)
    error = (guess.float() - velocity(x, noise)).square().mean(dim=(0, 2))  # [N + Q]
    weights = torch.ones_like(error)
    weights[patches:] = query_weight
    return (weights * error).sum() / weights.sum()


@torch.no_grad()
def generate_latents(
    dit: JointDiT,
    noise: Tensor,
    labels: Tensor,
    steps: int,
    shift: float,
    guidance: float = 1.0,
    guide: JointDiT | None = None,
) -> Tensor:
    """Normalised joint latents from noise, both [B, N + Q, D], by Euler steps; labels [B].

    guidance: above 1 steers away from what `guide`, a weaker generator, would do at the same label
    (AutoGuidance, arXiv 2406.02507); without a guide, from what no label would give.
    """
    other = guide if guide is not None else dit
    other_labels = labels if guide is not None else torch.full_like(labels, dit.no_class)

    def network(x: Tensor, t: float) -> Velocities:
        times = torch.full((len(x),), t, device=x.device)
        main = dit(x, times, labels)
        return main, other(x, times, other_labels) if guidance != 1.0 else None

    grid = shifted(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift)
    unused = torch.Generator()  # an ODE: Euler draws nothing
    return sample(network, noise, grid.tolist(), "euler", guidance, unused)


def starting_noise(dit: JointDiT, seed: int, first: int, count: int) -> Tensor:
    """Noise [count, N + Q, D] of pictures `first` and on: each has its own, whatever the batch."""
    shape = (dit.patches + dit.queries, dit.token_dim)
    return torch.stack(
        [
            torch.randn(shape, generator=seeded(seed, number))
            for number in range(first, first + count)
        ]
    )
