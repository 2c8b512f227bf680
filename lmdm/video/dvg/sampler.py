"""The loop: sketch, plan, grow, re-noise (dossier §2, §3)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmdm.diffusion.path import denoised, interpolate
from lmdm.video.dvg.demand import spatial_demand, temporal_demand
from lmdm.video.dvg.nested import Axes, anchor_resize, anti_aliased, nested_axes
from lmdm.video.dvg.noise import coordinate_noise
from lmdm.video.dvg.planner import Action, BudgetConfig, Choose, Shape, density, stage_shapes
from lmdm.video.timesteps import flow_timesteps

# velocity of latents [B, C, T, H, W] at time t, which stand at these points of the full grid
GridNetwork = Callable[[Tensor, float, Axes], Tensor]


@dataclass
class PlanReport:
    """What was seen, chosen and spent. Demands and action are None until the first transition."""

    spatial_demand: float | None = None
    temporal_demand: float | None = None
    action: Action | None = None
    planned_density: float | None = None
    realised_density: float = 0.0
    stage_steps: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    stage_seconds: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    entering_sigmas: list[float] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)


class GrowingGrid:
    """The state of one video between steps: its stage, its grid, its schedule.

    Used by our own loop and by the diffusers scheduler alike. A transition at step i: that step's
    forward pass is the smaller grid's last, so the stages run 15, 11, 11, 13 of 50 steps where the
    planner's density counts 14, 11, 11, 14 (as upstream does).
    """

    def __init__(
        self, config: BudgetConfig, choose: Choose, *, noise: str = "coordinate", seed: int = 12345
    ) -> None:
        """noise: "coordinate", or "random" (fresh at every transition), to compare with."""
        self.config, self.choose = config, choose
        self.noise, self.seed = noise, seed
        self.stage = 0
        self.report = PlanReport()
        # the sketch's grid does not depend on the action; the others are built once it is chosen
        first = stage_shapes(config, Action(1.0, config.shape[0]))[0]
        self.axes = nested_axes([first, config.shape])[0]
        self.stages = [self.axes]
        self.report.shapes = [first]

    @property
    def shift(self) -> float:
        """Of the schedule in this stage."""
        return self.config.shifts[self.stage]

    def sigmas(self) -> Tensor:
        """The steps + 1 noise levels of this stage's schedule; the step's number goes on."""
        return flow_timesteps(self.config.steps, self.shift)

    def start(self, channels: int) -> Tensor:
        """Noise on the sketch's grid: [1, C, T_1, H_1, W_1]."""
        return self._noise(channels, torch.float32)[None]

    def transits(self, step: int) -> bool:
        """Whether the grid grows at the end of this step."""
        return step in self.config.boundaries

    def grow(self, x: Tensor, v: Tensor, step: int, sigma: float) -> Tensor:
        """The transition at the end of a step: [B, C, ...] on the next stage's grid, re-noised to
        the next step's level of the next stage's schedule.
        """
        clean = denoised(x, v, sigma)
        if self.stage == 0:
            self._plan(clean[0])
        self.stage += 1
        self.axes = self.stages[self.stage]
        grown = anchor_resize(clean, self.stages[self.stage - 1], self.axes)
        if self.stage == 1:
            grown = anti_aliased(grown)
        following = float(self.sigmas()[step + 1])
        self.report.entering_sigmas.append(following)
        return interpolate(grown, self._noise(x.shape[1], x.dtype).to(x), following)

    def _plan(self, sketch: Tensor) -> None:
        report, config = self.report, self.config
        report.spatial_demand, report.temporal_demand = (
            spatial_demand(sketch), temporal_demand(sketch),
        )  # fmt: skip
        action = self.choose(config, report.spatial_demand, report.temporal_demand)
        report.action, report.planned_density = action, density(config, action)
        shapes = stage_shapes(config, action)
        report.shapes = list(shapes)
        # the sketch was begun before its place among the others was known: its points are now those
        # that the second stage has, at most a cell away
        self.stages = nested_axes(shapes)

    def _noise(self, channels: int, dtype: torch.dtype) -> Tensor:
        if self.noise == "coordinate":
            return coordinate_noise(self.axes, channels, self.seed).to(dtype)
        generator = torch.Generator().manual_seed(self.seed * 31 + self.stage)
        shape = (channels, *(len(line) for line in self.axes))
        return torch.randn(shape, generator=generator).to(dtype)

    def spent(self, seconds: float) -> None:
        """Books one step's tokens and time on the present stage."""
        report = self.report
        tokens = 1.0
        for line, size in zip(self.axes, self.config.shape, strict=True):
            tokens *= len(line) / size
        report.realised_density += tokens / self.config.steps
        report.stage_steps[self.stage] += 1
        report.stage_seconds[self.stage] += seconds


def sample(
    network: GridNetwork, channels: int, grid: GrowingGrid, on_step: Callable[[int], object]
) -> Tensor:
    """One video [1, C, T, H, W] on the full grid. `on_step` hears how many steps are done."""
    x = grid.start(channels)
    for step in range(grid.config.steps):
        begun = time.perf_counter()
        sigmas = grid.sigmas()
        t, t_next = float(sigmas[step]), float(sigmas[step + 1])
        v = network(x, t, grid.axes)
        grid.spent(time.perf_counter() - begun)
        x = grid.grow(x, v, step, t) if grid.transits(step) else x + (t_next - t) * v
        on_step(step + 1)
    return x


def full_sample(
    network: GridNetwork, channels: int, shape: Shape, steps: int, shift: float, seed: int
) -> Tensor:
    """The same network on the full grid at every step: what is compared with."""
    axes: Axes = (tuple(range(shape[0])), tuple(range(shape[1])), tuple(range(shape[2])))
    x = coordinate_noise(axes, channels, seed)[None]
    sigmas = flow_timesteps(steps, shift).tolist()
    for t, t_next in itertools.pairwise(sigmas):
        x = x + (t_next - t) * network(x, t, axes)
    return x
