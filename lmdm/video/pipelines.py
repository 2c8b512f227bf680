"""Real open models through diffusers: loading, sizes, and decoding a latent video once.

Wan 2.1/2.2 text-to-video and LTX are known. Nothing here runs them on its own: each tool puts its
scheduler in, and calls the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmdm.errors import InputError

HUB = "hub:"


@dataclass(frozen=True)
class RenderDefaults:
    """How a model renders where nothing else is asked for.

    temporal: frames a latent frame (but the first). window, stride: in frames of the video.
    """

    temporal: int
    fps: float
    window: int
    stride: int
    steps: int
    shift: float
    guidance: float


@dataclass(frozen=True)
class PipelineKind(RenderDefaults):
    """What the tools need to know of a pipeline class.

    spatial: pixels a latent cell; patch: latent cells a token, along height and width. height,
    width: in pixels.
    """

    name: str
    spatial: int
    patch: int
    height: int
    width: int


WAN = PipelineKind(4, 16.0, 81, 40, 50, 5.0, 5.0, "WanPipeline", 8, 2, 480, 832)
LTX = PipelineKind(8, 24.0, 97, 48, 50, 1.0, 3.0, "LTXPipeline", 32, 1, 512, 704)
KINDS = {kind.name: kind for kind in (WAN, LTX)}


def is_pipeline(model: str) -> bool:
    """Whether a --model is a diffusers folder or hub name rather than one of our own."""
    return model.startswith(HUB) or (Path(model) / "model_index.json").is_file()


def load_pipeline(model: str, device: str = "cpu", dtype: str = "float32") -> Any:
    """A diffusers pipeline from a folder, or from the hub as "hub:ORG/NAME".

    Raises:
        InputError: it cannot be loaded from safetensors, or is of a class that is not known.
    """
    import diffusers
    import transformers

    for library in (diffusers, transformers):  # their bars for folders of a few files say nothing
        library.utils.logging.disable_progress_bar()
    place = model.removeprefix(HUB)
    try:
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            place,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=not model.startswith(HUB),
        )
    except Exception as problem:  # whatever its many loaders raise
        words = " ".join(str(problem).split())[:200]
        raise InputError(f"the model {model} cannot be loaded: {words}") from None
    kind_of(pipe)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def kind_of(pipe: Any) -> PipelineKind:
    """What is known of a pipeline's class, with the scales of its own codec.

    Raises:
        InputError: nothing is known.
    """
    name = type(pipe).__name__
    if name not in KINDS:
        raise InputError(f"{name} is not supported here; known: {', '.join(KINDS)}")
    if name == WAN.name:
        temporal, spatial = pipe.vae_scale_factor_temporal, pipe.vae_scale_factor_spatial
    else:
        temporal = pipe.vae_temporal_compression_ratio
        spatial = pipe.vae_spatial_compression_ratio
    return replace(KINDS[name], temporal=temporal, spatial=spatial)


def wan_grid(kind: PipelineKind, frames: int, height: int, width: int) -> tuple[int, int, int]:
    """The latent grid (frames, rows, columns) of a Wan video of that size.

    Raises:
        InputError: sizes that do not divide into its latents and patches.
    """
    unit = kind.patch * kind.spatial
    if height % unit or width % unit or (frames - 1) % kind.temporal:
        raise InputError(
            f"{frames} frames of {height}x{width}: sides must be multiples of {unit}, frames 1 "
            f"more than a multiple of {kind.temporal}"
        )
    return 1 + (frames - 1) // kind.temporal, height // kind.spatial, width // kind.spatial


@torch.no_grad()
def wan_encode(pipe: Any, video: Tensor) -> Tensor:
    """Pictures [3, T, H, W] in -1..1 as clean latents [1, C, t, h, w] of Wan's own scale."""
    vae = pipe.vae
    latents = vae.encode(video[None].to(vae.device, vae.dtype)).latent_dist.mode()
    mean, std = _wan_scale(vae, latents)
    return (latents - mean) / std


def _wan_scale(vae: Any, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the codec's latents, a channel each."""
    shape = (1, -1, 1, 1, 1)
    mean, std = vae.config.latents_mean, vae.config.latents_std
    return torch.tensor(mean).view(shape).to(latents), torch.tensor(std).view(shape).to(latents)


@torch.no_grad()
def decode(pipe: Any, latents: Tensor) -> Tensor:
    """One latent video [C, N, h, w] of the pipeline's own scale -> [3, T, H, W] in -1..1."""
    vae = pipe.vae
    x = latents[None].to(vae.device, torch.float32)
    if kind_of(pipe).name == WAN.name:
        mean, std = _wan_scale(vae, x)
        return vae.decode((x * std + mean).to(vae.dtype), return_dict=False)[0][0].float().cpu()
    x = pipe._denormalize_latents(x, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    timestep = torch.zeros(1).to(x) if vae.config.timestep_conditioning else None
    return vae.decode(x.to(vae.dtype), timestep, return_dict=False)[0][0].float().cpu()
