"""What DVG can drive: Gaussian videos, the small base, and Wan pipelines."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmdm.diffusion.guidance import guided
from lmdm.errors import InputError
from lmdm.video import base, pipelines, words
from lmdm.video.dit import VideoDiT
from lmdm.video.dvg import gaussian
from lmdm.video.dvg.planner import BudgetConfig
from lmdm.video.dvg.sampler import GridNetwork, GrowingGrid, full_sample, sample

OnStep = Callable[[int], object]


class DvgModel(ABC):
    """Renders on a grid that grows; `config` is the budget on its own full grid."""

    config: BudgetConfig
    fps: float = 8.0

    @abstractmethod
    def render(self, grid: GrowingGrid, prompt: str, on_step: OnStep) -> Tensor:
        """Clean latents [C, T, H, W] of the full grid."""

    @abstractmethod
    def picture(self, latents: Tensor) -> Tensor:
        """Latents -> video [3, T, H, W] in -1..1."""

    def full_seconds(self, prompt: str, seed: int) -> float:
        """Seconds that the full grid takes at every step. Raises InputError for large models."""
        raise InputError(f"--compare times small models only ({prompt!r}, seed {seed})")


class NetworkModel(DvgModel):
    """A model of ours: a network that takes any grid, with 3 channels."""

    channels = 3

    @abstractmethod
    def network(self, prompt: str) -> GridNetwork:
        """Velocity of x at t on a grid."""

    @torch.no_grad()
    def render(self, grid: GrowingGrid, prompt: str, on_step: OnStep) -> Tensor:
        """See `DvgModel`."""
        return sample(self.network(prompt), self.channels, grid, on_step)[0]

    @torch.no_grad()
    def full_seconds(self, prompt: str, seed: int) -> float:
        """See `DvgModel`."""
        config = self.config
        begun = time.perf_counter()
        full_sample(
            self.network(prompt), self.channels, config.shape, config.steps, config.shifts[-1], seed
        )
        return round(time.perf_counter() - begun, 3)


@dataclass(frozen=True)
class GaussianModel(NetworkModel):
    """Gaussian videos, denoised exactly on any grid. Hears no prompts."""

    content: gaussian.Content
    config: BudgetConfig

    def network(self, prompt: str) -> GridNetwork:
        """See `NetworkModel`."""
        del prompt
        return lambda x, t, axes: gaussian.velocity(self.content, x, t, axes)

    def picture(self, latents: Tensor) -> Tensor:
        """Three channels as colours."""
        return (latents / 2).clamp(-1, 1)


@dataclass(frozen=True)
class BaseModel(NetworkModel):
    """The small base, which was trained on grids of several sizes."""

    net: VideoDiT
    config: BudgetConfig
    negative: str = ""
    guidance: float = 2.0

    def network(self, prompt: str) -> GridNetwork:
        """See `NetworkModel`."""
        wanted, null = words.encode(prompt)[None], words.encode(self.negative)[None]

        def velocity(x: Tensor, t: float, axes: object) -> Tensor:
            del axes  # as in Wan: positions are those of the grid as it is
            when = x.new_full((len(x),), t)
            v = self.net(x, when, wanted)
            if self.guidance == 1:
                return v
            return guided(v, self.net(x, when, null), self.guidance)

        return velocity

    def picture(self, latents: Tensor) -> Tensor:
        """See `DvgModel`."""
        return base.to_pictures(latents)


@dataclass(frozen=True)
class WanModel(DvgModel):
    """A Wan text-to-video pipeline, driven through its scheduler."""

    pipe: Any
    config: BudgetConfig
    frames: int
    height: int
    width: int
    negative: str
    guidance: float
    fps: float = 16.0

    def render(self, grid: GrowingGrid, prompt: str, on_step: OnStep) -> Tensor:
        """See `DvgModel`."""
        from lmdm.video.dvg.scheduler import DVGScheduler

        pipe = self.pipe
        scheduler = DVGScheduler()
        latents = scheduler.follow(grid, pipe.transformer.config.in_channels, on_step)
        pipe.scheduler = scheduler
        result = pipe(
            prompt=prompt,
            negative_prompt=self.negative or None,
            height=self.height,
            width=self.width,
            num_frames=self.frames,
            num_inference_steps=self.config.steps,
            guidance_scale=self.guidance,
            latents=latents.to(pipe.device),
            output_type="latent",
        )
        clean: Tensor = result.frames[0]
        return clean

    def picture(self, latents: Tensor) -> Tensor:
        """See `DvgModel`."""
        return pipelines.decode(self.pipe, latents)


def wan_grid(pipe: Any, frames: int, height: int, width: int) -> tuple[int, int, int]:
    """The full latent grid of a Wan video.

    Raises:
        InputError: another pipeline, or sizes that do not divide into its latents and patches.
    """
    kind = pipelines.kind_of(pipe)
    if kind.name != pipelines.WAN.name:
        raise InputError(
            f"DVG drives Wan text-to-video, not {kind.name}, which is told its grid before the loop"
        )
    return pipelines.wan_grid(kind, frames, height, width)
