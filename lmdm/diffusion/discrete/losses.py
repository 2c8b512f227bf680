"""Training losses per token, in nats: two proper ones, and the max-coupling variant.

Both proper losses work for both parameterisations, since a prediction carries its representation:
the NELBO takes its leave-one-out form, the cross-entropy its denoiser form. The one inconsistent
combination, cross-entropy on raw logits that are then plugged into the bridge, cannot be written.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.discrete.representation import (
    Representation,
    TokenPrediction,
    neighbour_law,
)
from lmdm.diffusion.elementary import Time


def nelbo(
    prediction: TokenPrediction, x0: Tensor, x_t: Tensor, t: Time, process: TokenProcess
) -> Tensor:
    """Integrand of the continuous-time negative ELBO at t, in its Bregman form [B, L], >= 0.

    (-alpha'/alpha) pi_v sum_j S_j (rho_j - 1 - log rho_j), with the true ratios S_j = a_j/a_v of
    x0 and rho the predicted ratios over them (dossier C §4). Its mean over t in 0..1 is the NELBO.
    """
    loo = prediction.to(Representation.LOO, x_t, t, process).logits
    alpha, dalpha = sites(process.alpha(t), x_t), sites(process.dalpha(t), x_t)
    known = torch.zeros_like(loo).scatter_(-1, x0[..., None], 1.0)
    log_true = neighbour_law(known, alpha, process).log()
    log_guess = neighbour_law(loo.exp(), alpha, process).log()
    at = x_t[..., None]
    log_s = log_true - log_true.gather(-1, at)
    log_rho = log_guess - log_guess.gather(-1, at) - log_s
    rate = -dalpha / alpha * process.law(loo)[x_t]
    return rate * (log_s.exp() * (torch.expm1(log_rho) - log_rho)).sum(-1)


def cross_entropy(
    prediction: TokenPrediction, x0: Tensor, x_t: Tensor, t: Time, process: TokenProcess
) -> Tensor:
    """-log D(x0) [B, L], of the prediction as a denoiser."""
    denoiser = prediction.to(Representation.DENOISER, x_t, t, process).logits
    return -denoiser.gather(-1, x0[..., None])[..., 0]


def max_coupling(
    prediction: TokenPrediction, x0: Tensor, x_t: Tensor, t: Time, process: TokenProcess
) -> Tensor:
    """NELBO integrand of the reverse process that jumps to x0 or stays [B, L].

    -alpha'/(1 - alpha) [1 - D_v - 1{x0 != v} (1 + log D_{x0})]. Its one-time marginals are the
    process's, but its paths are not Markov in x alone, so a gap to the entropy remains.
    """
    denoiser = prediction.to(Representation.DENOISER, x_t, t, process).logits
    return jump_loss(denoiser, x0, x_t, t, process)


def jump_loss(log_d: Tensor, x0: Tensor, stay: Tensor, t: Time, process: TokenProcess) -> Tensor:
    """-alpha'/(1 - alpha) [1 - D_stay - 1{x0 != stay} (1 + log D_{x0})] for log D [B, L, K]."""
    alpha, dalpha = sites(process.alpha(t), x0), sites(process.dalpha(t), x0)
    to_x0 = log_d.gather(-1, x0[..., None])[..., 0]
    held = log_d.gather(-1, stay[..., None])[..., 0].exp()
    moved = (x0 != stay).to(log_d) * (1.0 + to_x0)
    return -dalpha / (1.0 - alpha) * (1.0 - held - moved)


def antithetic_times(count: int, generator: torch.Generator, first: float = 1e-3) -> Tensor:
    """Uniform times in first..1, one in each of `count` equal strata of the batch [count]."""
    strata = (torch.arange(count) + torch.rand(1, generator=generator)) / count
    return first + (1.0 - first) * strata
