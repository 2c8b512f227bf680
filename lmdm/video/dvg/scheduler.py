"""DVG inside a diffusers pipeline: a scheduler whose `step` returns a larger latent (§7).

`WanPipeline` computes rope and timestep from the latents it holds, so a grown grid just goes on. It
walks a `timesteps` tensor that it took before the loop: a new shift is written into it in place.

    scheduler = DVGScheduler()
    latents = scheduler.couple(BudgetConfig((21, 60, 104), unit=2), channels=16)
    pipe.scheduler = scheduler
    pipe(prompt, latents=latents, num_inference_steps=50, output_type="latent", ...)
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from lmdm.video.dvg.planner import BudgetConfig, Choose, planned
from lmdm.video.dvg.sampler import GrowingGrid
from lmdm.video.scheduler import SteppingScheduler


class DVGScheduler(SteppingScheduler):
    """Euler steps on a grid that grows. `couple` it before every video."""

    grid: GrowingGrid

    def couple(
        self,
        config: BudgetConfig,
        channels: int,
        choose: Choose = planned,
        *,
        noise: str = "coordinate",
        seed: int = 12345,
        on_step: Callable[[int], object] | None = None,
    ) -> Tensor:
        """Sets what is to be spent; returns the latents [1, C, T_1, H_1, W_1] to begin with."""
        grid = GrowingGrid(config, choose, noise=noise, seed=seed)
        return self.follow(grid, channels, on_step)

    def follow(
        self, grid: GrowingGrid, channels: int, on_step: Callable[[int], object] | None = None
    ) -> Tensor:
        """The same with a grid of the caller's own, which holds the report afterwards."""
        self.grid, self._on_step = grid, on_step
        return grid.start(channels)

    def set_timesteps(  # in full, for pipelines look for `sigmas` in its signature
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """The first stage's schedule. Raises ValueError unless the steps are the budget's."""
        del sigmas, mu, timesteps  # each stage has its own
        if num_inference_steps != self.grid.config.steps:
            raise ValueError(f"{num_inference_steps} steps, but {self.grid.config.steps} budgeted")
        self.num_inference_steps = num_inference_steps
        self.sigmas = self.grid.sigmas().float().to(device)
        self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps
        self._step_index = self._begin_index = None
        self._begun = time.perf_counter()

    def moved(self, velocity: Tensor, latents: Tensor, index: int) -> Tensor:
        """One Euler step, or a transition: then what is returned stands on the next grid."""
        sigma = float(self.sigmas[index])
        self.grid.spent(time.perf_counter() - self._begun)
        if self.grid.transits(index):
            x = self.grid.grow(latents, velocity, index, sigma)
            self.sigmas.copy_(self.grid.sigmas())
            self.timesteps.copy_(self.sigmas[:-1] * self.config.num_train_timesteps)
        else:
            x = latents + (float(self.sigmas[index + 1]) - sigma) * velocity
        if self._on_step is not None:
            self._on_step(index + 1)
        self._begun = time.perf_counter()
        return x
