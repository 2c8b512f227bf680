"""From noise to data: a solver walks a grid of times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lmdm.diffusion.prediction import Denoiser
from lmdm.diffusion.schedule import Schedule
from lmdm.diffusion.solvers import Solver, Walk


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of like's shape. Drawn in float32 on the generator's device, so that
    one seed gives one noise whatever the precision and the device of the network.
    """
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def generator_noise(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """A walk's source of noise."""
    return lambda like: gaussian(like, generator)


def no_noise(_: Tensor) -> Tensor:
    """The source of noise of solvers that draw none.

    Raises:
        ValueError: always; the solver needs a generator.
    """
    raise ValueError("this solver draws noise: give it a generator")


def prior(
    shape: Sequence[int],
    schedule: Schedule,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """x at the schedule's last time: Gaussian of standard deviation prior_std."""
    return schedule.prior_std * gaussian(torch.empty(*shape, dtype=dtype), generator)


def sample(
    denoiser: Denoiser,
    schedule: Schedule,
    grid: Sequence[float] | Tensor,
    solver: Solver,
    x: Tensor,
    generator: torch.Generator | None = None,
    noise: Callable[[Tensor], Tensor] | None = None,
    on_step: Callable[[float, Tensor], None] | None = None,
) -> Tensor:
    """Walks the falling times of `grid`, from x at its first to the result at its last.

    Noise comes from `generator`, or from `noise(like)` where its caller wants to choose it;
    on_step(s, x_s) sees the trajectory. Differentiable in x and through the denoiser.

    Raises:
        ValueError: the grid does not fall, or the solver draws and has nothing to draw from.
    """
    times = [float(t) for t in grid]
    if len(times) < 2 or any(s >= t for t, s in itertools.pairwise(times)):
        raise ValueError("a grid needs two or more times, each below the one before")
    if noise is None:
        noise = no_noise if generator is None else generator_noise(generator)
    walk = Walk(schedule, noise)
    for t, s in itertools.pairwise(times):
        x = solver.step(x, t, s, denoiser, walk)
        if on_step is not None:
            on_step(s, x)
    return x


def evaluations(solver: Solver, grid: Sequence[float] | Tensor, schedule: Schedule) -> int:
    """Denoiser calls (NFE) of a walk; two-call solvers save one on a step to sigma = 0."""
    steps = len(grid) - 1
    saved = solver.evaluations - 1 if schedule.sigma(float(grid[-1])) == 0.0 else 0
    return steps * solver.evaluations - saved
