"""The losses of the game (dossier §4, eqs. 6 and 7), with f(z) = log(1 + e^z).

D gives logits [B, patches]; every loss is a mean over rows and patches. Real and generated are
paired: the same context, conditions, noise and noise level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.arc_forcing.config import Levels

TRUNCATED_BELOW = 0.075  # of the truncated logit-normal, as in stable-audio-tools


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_R of D: E f(-[D(x, c) - D(x^, c)])."""
    return F.softplus(-(real - fake)).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L_R of G: E f(D(x, c) - D(x^, c))."""
    return F.softplus(real - fake).mean()


def contrastive(matched: Tensor, mismatched: Tensor) -> Tensor:
    """L_C of D, on real sound: E f(-[D(x, c) - D(x, P(c))]), P a derangement."""
    return F.softplus(-(matched - mismatched)).mean()


def gradient_penalty(at: Tensor, near: Tensor, sigma: float) -> Tensor:
    """Finite-difference estimate of E |grad D|^2: ((D(z + sigma e) - D(z)) / sigma)^2, e Gaussian.

    R1 on real, R2 on generated latents. (E over e of (grad D . e)^2 is |grad D|^2.)
    """
    return ((near - at) / sigma).square().mean()


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """A uniform permutation of 0..count-1 that leaves nothing in its place.

    Drawn anew until it is one: about e = 2.7 draws. count is 2 or more.
    """
    if count < 2:
        raise ValueError(f"{count} rows have no derangement")
    while True:
        drawn = torch.randperm(count, generator=generator)
        if not bool((drawn == torch.arange(count)).any()):
            return drawn


def noise_levels(kind: Levels, count: int, generator: torch.Generator) -> Tensor:
    """t_d of `count` rows in [0, 1].

    logsnr-uniform: logSNR uniform in [-6, 2]. logit-normal: sigmoid of a Gaussian.
    truncated-logit-normal: 1 - r, r a logit-normal cut at 0.075 and stretched back to [0, 1].
    """
    if kind == "logsnr-uniform":
        return torch.sigmoid(-(torch.rand(count, generator=generator) * 8 - 6))
    if kind == "logit-normal":
        return torch.sigmoid(torch.randn(count, generator=generator))
    normal = torch.distributions.Normal(0.0, 1.0)
    lowest = normal.cdf(torch.logit(torch.tensor(TRUNCATED_BELOW)))
    uniform = lowest + (1 - lowest) * torch.rand(count, generator=generator)
    r = torch.sigmoid(normal.icdf(uniform.clamp(1e-6, 1 - 1e-6)))
    return 1 - (r - TRUNCATED_BELOW) / (1 - TRUNCATED_BELOW)
