"""Real open models through diffusers: loading, sizes, and decoding a latent video once.

Wan 2.1/2.2 text-to-video and LTX are known. Nothing here runs them on its own: each tool puts its
scheduler in, and calls the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmdm.errors import InputError

HUB = "hub:"


@dataclass(frozen=True)
class PipelineKind:
    """What the tools need to know of a pipeline class.

    temporal: frames a latent frame (but the first); spatial: pixels a latent cell; window, stride
    in pixel frames.
    """

    name: str
    temporal: int
    spatial: int
    fps: float
    window: int
    stride: int
    steps: int
    shift: float
    guidance: float
    height: int
    width: int


KINDS = {
    "WanPipeline": PipelineKind("WanPipeline", 4, 8, 16.0, 81, 40, 50, 5.0, 5.0, 480, 832),
    "LTXPipeline": PipelineKind("LTXPipeline", 8, 32, 24.0, 97, 48, 50, 1.0, 3.0, 512, 704),
}


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
            torch_dtype=getattr(torch, dtype),
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
    known = KINDS[name]
    if name == "WanPipeline":
        scales = (pipe.vae_scale_factor_temporal, pipe.vae_scale_factor_spatial)
    else:
        scales = (pipe.vae_temporal_compression_ratio, pipe.vae_spatial_compression_ratio)
    return PipelineKind(known.name, *scales, *_rest(known))


def _rest(kind: PipelineKind) -> tuple[Any, ...]:
    return (
        kind.fps, kind.window, kind.stride, kind.steps, kind.shift, kind.guidance, kind.height,
        kind.width,
    )  # fmt: skip


@torch.no_grad()
def decode(pipe: Any, latents: Tensor) -> Tensor:
    """One latent video [C, N, h, w] of the pipeline's own scale -> [3, T, H, W] in -1..1."""
    vae = pipe.vae
    x = latents[None].to(vae.device, torch.float32)
    if kind_of(pipe).name == "WanPipeline":
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(vae.config.latents_mean).view(shape).to(x)
        std = torch.tensor(vae.config.latents_std).view(shape).to(x)
        return vae.decode((x * std + mean).to(vae.dtype), return_dict=False)[0][0].float().cpu()
    x = pipe._denormalize_latents(x, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    timestep = torch.zeros(1).to(x) if vae.config.timestep_conditioning else None
    return vae.decode(x.to(vae.dtype), timestep, return_dict=False)[0][0].float().cpu()
