"""FlowLong inside a diffusers pipeline: the scheduler is the hook (dossier §7).

A pipeline calls `scheduler.step(v, t, latents)` after guidance, so a scheduler that takes the batch
for the K windows of one video is all there is to it; no pipeline and no network is changed.

    scheduler = FlowLongScheduler(shift=5.0)
    scheduler.couple(geometry, FlowLongConfig(t_star=0.6))
    pipe.scheduler = scheduler
    pipe(prompt=prompts, latents=scheduler.start_latents(C, h, w), output_type="latent", ...)
    video = scheduler.state.timeline             # [C, N, h, w]: decode this, once

`callback_on_step_end` could not do it: it sees the latents after the step, and no velocity. The
UniPC that Wan ships cannot be kept: it would mix predictions from before the matching.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from torch import Tensor

from lmdm.video.flowlong.geometry import WindowGeometry
from lmdm.video.flowlong.sampler import FlowLongConfig, WindowState, begin, matched_step
from lmdm.video.scheduler import SteppingScheduler

Unpack = Callable[[Tensor], Tensor]


def same(latents: Tensor) -> Tensor:
    """For pipelines whose latents are [K, C, F, h, w] as they are (Wan, HunyuanVideo)."""
    return latents


class FrameMajorTokens:
    """For LTX, which packs latents to tokens [K, F h w, C], frame after frame (patch size 1)."""

    def __init__(self, height: int, width: int) -> None:
        """height, width: in latent cells."""
        self.height, self.width = height, width

    def unpack(self, tokens: Tensor) -> Tensor:
        """[K, F h w, C] -> [K, C, F, h, w]."""
        return tokens.unflatten(1, (-1, self.height, self.width)).permute(0, 4, 1, 2, 3)

    def pack(self, latents: Tensor) -> Tensor:
        """Undoes `unpack`."""
        return latents.permute(0, 2, 3, 4, 1).flatten(1, 3)


class FlowLongScheduler(SteppingScheduler):
    """Steps K windows of one video together. `couple` it before the pipeline runs."""

    geometry: WindowGeometry
    coupling: FlowLongConfig
    state: WindowState

    def couple(
        self,
        geometry: WindowGeometry,
        coupling: FlowLongConfig,
        *,
        unpack: Unpack = same,
        pack: Unpack = same,
        on_step: Callable[[WindowState], object] | None = None,
    ) -> None:
        """Sets what the batch means.

        unpack, pack: between the pipeline's latents and windows [K, C, F, ...]. on_step: called
        with the state after every step, to show progress or to keep it.
        """
        self.geometry, self.coupling = geometry, coupling
        self._unpack, self._pack, self._on_step = unpack, pack, on_step
        self._done = 0

    def start_latents(self, channels: int, *cells: int) -> Tensor:
        """The noise of all windows, packed for the pipeline's `latents`."""
        shape = (channels, self.geometry.window, *cells)
        self.state = begin(shape, self.geometry, self.coupling)
        return self._pack(self.state.windows)

    def resume(self, state: WindowState) -> Tensor:
        """Goes on from a kept state; returns the packed latents to give to the pipeline."""
        self.state, self._done = state, state.step
        return self._pack(state.windows)

    def set_timesteps(  # in full, for pipelines look for `sigmas` in its signature
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """As always, without the steps that a resumed state has behind it."""
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        self.timesteps = self.timesteps[self._done :]
        self.sigmas = self.sigmas[self._done :]

    def moved(self, velocity: Tensor, latents: Tensor, index: int) -> Tensor:
        """One FlowLong step of all windows.

        Raises:
            ValueError: the batch is not the K windows.
        """
        windows = self._unpack(latents)
        if len(windows) != self.geometry.windows:
            raise ValueError(f"{len(windows)} latents for {self.geometry.windows} windows")
        t, t_next = float(self.sigmas[index]), float(self.sigmas[index + 1])
        state = replace(self.state, windows=windows)
        with torch.no_grad():
            self.state = matched_step(
                self._unpack(velocity), state, t, t_next, self.geometry, self.coupling
            )
        if self._on_step is not None:
            self._on_step(self.state)
        return self._pack(self.state.windows)


class _MicrobatchHook(ModelHook):
    """Runs a network on a few rows of its batch at a time."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def new_forward(self, _module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Every tensor of the full batch is split along dimension 0; outputs are joined again."""
        tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
        batch = tensors[0].shape[0]

        def part(value: Any, rows: slice) -> Any:
            whole = isinstance(value, Tensor) and value.dim() > 0 and len(value) == batch
            return value[rows] if whole else value

        outputs = []
        for start in range(0, batch, self.rows):
            rows = slice(start, start + self.rows)
            output = self.fn_ref.original_forward(
                *(part(each, rows) for each in args),
                **{name: part(each, rows) for name, each in kwargs.items()},
            )
            outputs.append(output[0] if isinstance(output, tuple) else output.sample)
        joined = torch.cat(outputs)
        if kwargs.get("return_dict", True):
            return type(output)(sample=joined)
        return (joined,)


def microbatched(transformer: torch.nn.Module, rows: int) -> None:
    """Makes a diffusers transformer take `rows` windows at a time, whatever batch it is given."""
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    registry.register_hook(_MicrobatchHook(rows), "microbatch")
