"""The live engine's samplers by name: solvers on rectified flow, guided by a null condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmdm.diffusion import sampling
from lmdm.diffusion.guidance import guided
from lmdm.diffusion.path import RECTIFIED_FLOW
from lmdm.diffusion.prediction import Kind, Prediction
from lmdm.diffusion.solvers import Euler, EulerPlusPlus, PingPong, PingPongPlusPlus, Solver

SOLVERS: dict[str, Solver] = {
    "euler": Euler(),
    "euler++": EulerPlusPlus(),
    "ping-pong": PingPong(),
    "ping-pong++": PingPongPlusPlus(),
}
SAMPLERS = tuple(SOLVERS)
NEEDS_NULL = ("euler++", "ping-pong++")  # guided near 0.7 rather than near 5

Velocities = tuple[Tensor, Tensor | None]  # conditional, null (None where nothing is guided)


def guided_velocity(
    x: Tensor, t: float, velocities: Velocities, guidance: float, parallel: float = 1.0
) -> Tensor:
    """The velocity at (x, t) that leans towards the condition.

    parallel: share that is kept of what guidance adds along the data that the conditional velocity
    leads to; 1 is plain classifier-free guidance, less is APG (`guidance.projected`).
    """
    conditional, null = velocities
    return guided(conditional, null, guidance, x - t * conditional, parallel)


def sample(
    network: Callable[[Tensor, float], Velocities],
    noise: Tensor,
    timesteps: Sequence[float],
    sampler: str,
    guidance: float,
    generator: torch.Generator,
    parallel: float = 1.0,
) -> Tensor:
    """Walks `timesteps` (falling; 1 first and 0 last go from noise to data).

    network(x, t): conditional and null velocity. parallel: see `guided_velocity`. Differentiable; a
    rollout that wants gradients of the last step alone walks timesteps[:-1] without them, then
    timesteps[-2:]. Draws noise only if the sampler renoises, and never on a step to 0.

    Raises:
        ValueError: an unknown sampler, or a "++" sampler without the null velocity.
    """
    if sampler not in SOLVERS:
        raise ValueError(f"unknown sampler {sampler!r}; known: {', '.join(SAMPLERS)}")

    def denoiser(x: Tensor, t: float | Tensor) -> Prediction:
        assert isinstance(t, float)
        velocities = network(x, t)
        return Prediction(
            guided_velocity(x, t, velocities, guidance, parallel), Kind.V, velocities[1]
        )

    return sampling.sample(denoiser, RECTIFIED_FLOW, timesteps, SOLVERS[sampler], noise, generator)
