"""What FlowLong can drive: the analytic world, the small base, and diffusers pipelines.

Each gives a run of the sampler from a state, a picture of the timeline, and its usual sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from lmdm.diffusion.guidance import guided
from lmdm.errors import InputError
from lmdm.video import base, pipelines, words
from lmdm.video.dit import VideoDiT
from lmdm.video.flowlong.analytic import SceneWorld
from lmdm.video.flowlong.geometry import WindowGeometry, pixel_frames
from lmdm.video.flowlong.sampler import FlowLongConfig, WindowState, begin, sample
from lmdm.video.pipelines import RenderDefaults
from lmdm.video.timesteps import flow_timesteps

OnStep = Callable[[WindowState], object]


@dataclass(frozen=True)
class Run:
    """One long render. prompts: one a window."""

    geometry: WindowGeometry
    coupling: FlowLongConfig
    prompts: tuple[str, ...]
    negative: str
    steps: int
    shift: float
    guidance: float


class LongVideoModel(Protocol):
    """What a render asks of a model; lengths are in frames of the video."""

    @property
    def defaults(self) -> RenderDefaults:
        """How it renders where nothing else is asked for."""

    def run(self, run: Run, state: WindowState | None, on_step: OnStep) -> WindowState:
        """Samples to the end, from noise or from a kept state; `on_step` sees every state."""

    def picture(self, timeline: Tensor) -> Tensor:
        """A clean timeline [C, N, ...] -> video [3, T, H, W] in -1..1."""


def _walk(
    network: Callable[[Tensor, float, range], Tensor],
    shape: tuple[int, ...],
    run: Run,
    state: WindowState | None,
    on_step: OnStep,
) -> WindowState:
    if state is None:
        state = begin(shape, run.geometry, run.coupling)
    timesteps = flow_timesteps(run.steps, run.shift).tolist()
    with torch.no_grad():
        for each in sample(network, state, timesteps, run.geometry, run.coupling):
            state = each
            on_step(state)
    return state


@dataclass(frozen=True)
class AnalyticModel:
    """The scene world: no training, exact denoiser. Prompts and guidance mean nothing to it."""

    world: SceneWorld = field(default_factory=SceneWorld)
    defaults = RenderDefaults(1, 8.0, 13, 6, steps=50, shift=5.0, guidance=1.0)

    def run(self, run: Run, state: WindowState | None, on_step: OnStep) -> WindowState:
        """See `LongVideoModel`. In float64: the comparison is of samplers, not of rounding."""
        if any(run.prompts):
            raise InputError(
                "the analytic world hears no prompts; leave them out, or take the base"
            )
        network = lambda x, t, _: self.world.velocity(x.double(), t).to(x)  # noqa: E731
        return _walk(network, (self.world.dim, run.geometry.window), run, state, on_step)

    def picture(self, timeline: Tensor) -> Tensor:
        """Every channel a bar whose brightness is its value; the scene tints the ground."""
        scaled = (timeline / (2 * self.world.spread)).clamp(-1, 1).float()  # [D, N]
        bars = scaled.T[:, None, :].expand(-1, self.world.dim, -1)
        return torch.stack([bars, bars.roll(1, -1), bars.roll(2, -1)])


@dataclass(frozen=True)
class BaseModel:
    """The small base: coloured shapes, 13 frames of 16x16."""

    network: VideoDiT
    defaults = RenderDefaults(1, 8.0, 13, 6, steps=30, shift=3.0, guidance=2.0)

    def run(self, run: Run, state: WindowState | None, on_step: OnStep) -> WindowState:
        """See `LongVideoModel`."""
        prompts = torch.stack([words.encode(prompt) for prompt in run.prompts])
        negative = words.encode(run.negative)

        def velocity(x: Tensor, t: float, which: range) -> Tensor:
            time = x.new_full((len(x),), t)
            wanted = self.network(x, time, prompts[which.start : which.stop])
            if run.guidance == 1:
                return wanted
            return guided(wanted, self.network(x, time, negative.expand(len(x), -1)), run.guidance)

        shape = (self.network.config.channels, run.geometry.window, base.SIZE, base.SIZE)
        return _walk(velocity, shape, run, state, on_step)

    def picture(self, timeline: Tensor) -> Tensor:
        """Latents are pixels, scaled."""
        return base.to_pictures(timeline)


@dataclass(frozen=True)
class PipelineModel:
    """A diffusers pipeline, Wan or LTX; height and width in pixels."""

    pipe: Any
    height: int
    width: int
    defaults: pipelines.PipelineKind

    @classmethod
    def of(cls, pipe: Any, height: int | None, width: int | None) -> PipelineModel:
        """Raises InputError where the size does not divide into the pipeline's latent patches."""
        kind = pipelines.kind_of(pipe)
        rows, columns = height or kind.height, width or kind.width
        unit = kind.spatial * kind.patch
        if rows % unit or columns % unit:
            raise InputError(f"height {rows} and width {columns} must be multiples of {unit}")
        return cls(pipe, rows, columns, kind)

    def run(self, run: Run, state: WindowState | None, on_step: OnStep) -> WindowState:
        """See `LongVideoModel`."""
        from lmdm.video.flowlong.scheduler import (
            FlowLongScheduler,
            FrameMajorTokens,
            microbatched,
            same,
        )

        pipe, kind = self.pipe, self.defaults
        latent = (self.height // kind.spatial, self.width // kind.spatial)
        layout = FrameMajorTokens(*latent)
        packed = kind.name == pipelines.LTX.name
        if packed:
            scheduler = FlowLongScheduler.from_config(pipe.scheduler.config)
        else:
            scheduler = FlowLongScheduler(shift=run.shift)
        scheduler.couple(
            run.geometry,
            replace(run.coupling, microbatch=0),
            unpack=layout.unpack if packed else same,
            pack=layout.pack if packed else same,
            on_step=on_step,
        )
        if run.coupling.microbatch:
            microbatched(pipe.transformer, run.coupling.microbatch)
            if getattr(pipe, "transformer_2", None) is not None:
                microbatched(pipe.transformer_2, run.coupling.microbatch)
        pipe.scheduler = scheduler
        if state is None:
            channels = pipe.transformer.config.in_channels
            latents = scheduler.start_latents(channels, *latent)
        else:
            latents = scheduler.resume(state)
        pipe(
            prompt=list(run.prompts),
            negative_prompt=run.negative or None,
            height=self.height,
            width=self.width,
            num_frames=pixel_frames(run.geometry.window, kind.temporal),
            num_inference_steps=run.steps,
            guidance_scale=run.guidance,
            latents=latents.to(pipe.device),
            output_type="latent",
        )
        return scheduler.state

    def picture(self, timeline: Tensor) -> Tensor:
        """Decoded as one video: decoding windows apart would leave seams."""
        return pipelines.decode(self.pipe, timeline)
