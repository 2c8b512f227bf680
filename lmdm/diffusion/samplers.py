"""Samplers of the rectified-flow path: how a velocity carries x from timestep t to t_next < t.

Steps are pure functions; what they draw comes from an explicit generator. "++" are CFG++-style:
they step towards the guided x0 but renoise along the null condition (Ping-Pong++ of LMDM, dossier
§2.7; after CFG++, arXiv 2406.08070), so their guidance lies near 0.7 rather than near 5.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmdm.diffusion.path import denoised

SAMPLERS = ("euler", "euler++", "ping-pong", "ping-pong++")
NEEDS_NULL = ("euler++", "ping-pong++")

Velocities = tuple[Tensor, Tensor | None]  # conditional, null (None where nothing is guided)


def guided(conditional: Tensor, null: Tensor | None, guidance: float) -> Tensor:
    """Classifier-free guidance: null + guidance (conditional - null)."""
    if null is None:
        return conditional
    return torch.lerp(null, conditional, guidance)


def euler_step(x: Tensor, v: Tensor, t: float, t_next: float) -> Tensor:
    """x + (t_next - t) v: the probability-flow ODE."""
    return x + (t_next - t) * v


def euler_plus_plus_step(
    x: Tensor, conditional: Tensor, null: Tensor, t: float, t_next: float, guidance: float
) -> Tensor:
    """x0(guided) + t_next v(null); at guidance 0 it is the null condition's Euler step."""
    return denoised(x, guided(conditional, null, guidance), t) + t_next * null


def ping_pong_step(x: Tensor, v: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
    """Denoise fully, then noise afresh: (1 - t_next) x0 + t_next noise."""
    return (1 - t_next) * denoised(x, v, t) + t_next * noise


def ping_pong_plus_plus_step(
    x: Tensor,
    conditional: Tensor,
    null: Tensor,
    t: float,
    t_next: float,
    guidance: float,
    noise: Tensor,
) -> Tensor:
    """x0(guided) + t_next (noise - x0(null)); at guidance 0 it is the null's ping-pong step."""
    return denoised(x, guided(conditional, null, guidance), t) + t_next * (
        noise - denoised(x, null, t)
    )


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of like's shape. Drawn in float32 on the generator's device, so that
    one seed gives one noise whatever the precision and the device of the network.
    """
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def sampler_step(
    sampler: str,
    x: Tensor,
    velocities: Velocities,
    t: float,
    t_next: float,
    guidance: float,
    generator: torch.Generator,
) -> Tensor:
    """One step of a sampler by name. Draws noise only if the sampler renoises and t_next > 0.

    Raises:
        ValueError: an unknown sampler, or a "++" sampler without the null velocity.
    """
    conditional, null = velocities
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}; known: {', '.join(SAMPLERS)}")
    if t_next == 0.0:  # every sampler ends at the guided x0
        return denoised(x, guided(conditional, null, guidance), t)
    if sampler == "euler":
        return euler_step(x, guided(conditional, null, guidance), t, t_next)
    if sampler == "ping-pong":
        v = guided(conditional, null, guidance)
        return ping_pong_step(x, v, t, t_next, gaussian(x, generator))
    if null is None:
        raise ValueError(f"sampler {sampler!r} needs the null condition's velocity")
    if sampler == "euler++":
        return euler_plus_plus_step(x, conditional, null, t, t_next, guidance)
    noise = gaussian(x, generator)
    return ping_pong_plus_plus_step(x, conditional, null, t, t_next, guidance, noise)


def sample(
    network: Callable[[Tensor, float], Velocities],
    noise: Tensor,
    timesteps: Sequence[float],
    sampler: str,
    guidance: float,
    generator: torch.Generator,
) -> Tensor:
    """Walks `timesteps` (falling; 1 first and 0 last go from noise to data).

    network(x, t): conditional and null velocity. Differentiable; a rollout that wants gradients of
    the last step alone walks timesteps[:-1] without them, then timesteps[-2:].
    """
    x = noise
    for t, t_next in itertools.pairwise(timesteps):
        x = sampler_step(sampler, x, network(x, t), t, t_next, guidance, generator)
    return x
