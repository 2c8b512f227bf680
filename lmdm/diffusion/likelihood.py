"""Likelihood by the instantaneous change of variables along the probability-flow ODE.

d log p_t(x_t)/dt = -div v, so log p_0(x_0) = log p_1(x_1) + integral of div v dt ("A Tutorial on
Diffusion Theory", arXiv 2605.22586; after arXiv 2011.13456).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmdm.diffusion.prediction import Denoiser
from lmdm.diffusion.sampling import gaussian
from lmdm.diffusion.schedule import Schedule

Field = Callable[[Tensor], Tensor]
Divergence = Callable[[Field, Tensor], tuple[Tensor, Tensor]]


def exact_divergence(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
    """v(x) [B, ...] and its divergence [B]: one backward pass a dimension."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        v = field(leaf)
        flat = v.flatten(1)
        traces = x.new_zeros(len(x))
        for index in range(flat.shape[1]):
            (row,) = torch.autograd.grad(flat[:, index].sum(), leaf, retain_graph=True)
            traces = traces + row.flatten(1)[:, index]
    return v.detach(), traces


def hutchinson_divergence(generator: torch.Generator) -> Divergence:
    """An unbiased estimate from one Gaussian probe a call: z^T (dv/dx) z. One backward pass."""

    def divergence(field: Field, x: Tensor) -> tuple[Tensor, Tensor]:
        probe = gaussian(x, generator)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(True)
            v = field(leaf)
            (row,) = torch.autograd.grad((v * probe).sum(), leaf)
        return v.detach(), (row * probe).flatten(1).sum(1)

    return divergence


def log_prior(x: Tensor, schedule: Schedule) -> Tensor:
    """log density of x [B, ...] under the schedule's prior, in nats [B]."""
    each = (x / schedule.prior_std) ** 2 + math.log(2 * math.pi * schedule.prior_std**2)
    return -0.5 * each.flatten(1).sum(1)


def log_likelihood(
    denoiser: Denoiser,
    schedule: Schedule,
    x0: Tensor,
    grid: Sequence[float] | Tensor,
    log_density: Callable[[Tensor], Tensor] | None = None,
    divergence: Divergence = exact_divergence,
) -> tuple[Tensor, Tensor]:
    """log p(x0) in nats [B], and where the flow carries x0 [B, ...].

    `grid` falls as for samplers; the flow runs over it backwards, from its last time, at which x0
    is taken to stand, to its first, by the classical Runge-Kutta method (fourth order, four calls a
    step). log_density: of x at the grid's first time; by default the schedule's prior.
    """
    times = [float(t) for t in grid][::-1]
    x, total = x0, x0.new_zeros(len(x0))

    def rate(y: Tensor, t: float) -> tuple[Tensor, Tensor]:
        return divergence(lambda z: denoiser(z, t).v(z, t, schedule), y)

    for t, s in itertools.pairwise(times):
        h, middle = s - t, 0.5 * (s + t)
        v1, d1 = rate(x, t)
        v2, d2 = rate(x + 0.5 * h * v1, middle)
        v3, d3 = rate(x + 0.5 * h * v2, middle)
        v4, d4 = rate(x + h * v3, s)
        x = x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        total = total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    end = log_prior(x, schedule) if log_density is None else log_density(x)
    return end + total, x
