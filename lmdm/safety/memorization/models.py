"""What the tool asks of a text-to-image model, and Stable Diffusion pipelines as such a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lmdm.errors import InputError
from lmdm.formats.building import device_of
from lmdm.safety.memorization.watch import Watch, watched

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Sampling:
    """How images are sampled."""

    scheduler: str = "ddim"
    steps: int = 50
    guidance: float = 7.5


class PromptModel(Protocol):
    """Anything that makes images of prompts through a watched scheduler."""

    def check(self, prompts: Sequence[str]) -> None:
        """Raises InputError for a prompt that this model cannot take."""

    def setting(self, sampling: Sampling) -> Mapping[str, Any]:
        """All that a region depends on: model, scheduler, steps, guidance, shape, dtype."""
        ...

    def generate(
        self, prompt: str, seeds: Sequence[int], sampling: Sampling, watch: Watch
    ) -> Images:
        """[S, H, W] or [S, H, W, 3], one image a seed, all in one batch."""
        ...


def weights_hash(module: nn.Module) -> str:
    """Hexadecimal SHA-256 of a network's tensors, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


class StableDiffusion:
    """A Stable Diffusion pipeline of diffusers, from a local folder; safetensors only."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)
        self._hash = weights_hash(pipeline.unet)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> StableDiffusion:
        """Raises InputError unless the folder holds such a pipeline, and the device is here."""
        where = device_of(device)
        if not (folder / "model_index.json").is_file():
            raise InputError(
                f"{folder} has neither the model_index.json of a Stable Diffusion pipeline nor the "
                "denoiser.safetensors of a digits experiment; give a folder with one of them"
            )
        from diffusers import StableDiffusionPipeline

        try:
            pipeline = StableDiffusionPipeline.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, safety_checker=None
            )
        except (OSError, ValueError, KeyError, AttributeError) as problem:
            said = " ".join(str(problem).split())[:200]
            raise InputError(
                f"{folder} is not a Stable Diffusion pipeline with safetensors weights ({said}); "
                "save one there with save_pretrained(folder, safe_serialization=True)"
            ) from None
        return cls(pipeline.to(where))

    def check(self, prompts: Sequence[str]) -> None:
        """Any text is a prompt."""

    def setting(self, sampling: Sampling) -> Mapping[str, Any]:
        """See `PromptModel.setting`."""
        unet = self.pipeline.unet
        made = watched(self.pipeline.scheduler, Watch(), sampling.scheduler)
        config = {k: v for k, v in made.config.items() if not k.startswith("_")}
        return {
            "model": self._hash,
            "scheduler": sampling.scheduler,
            "scheduler config": {k: _plain(v) for k, v in config.items()},
            "steps": sampling.steps,
            "guidance": sampling.guidance,
            "latents": [unet.config.in_channels, unet.config.sample_size, unet.config.sample_size],
            "dtype": str(unet.dtype),
        }

    def generate(
        self, prompt: str, seeds: Sequence[int], sampling: Sampling, watch: Watch
    ) -> Images:
        """See `PromptModel.generate`."""
        plain = self.pipeline.scheduler
        self.pipeline.scheduler = watched(plain, watch, sampling.scheduler)
        watch.begin()
        try:
            images = self.pipeline(
                prompt=[prompt] * len(seeds),
                num_inference_steps=sampling.steps,
                guidance_scale=sampling.guidance,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                output_type="np",
            ).images
        finally:
            self.pipeline.scheduler = plain
        return (np.clip(images, 0.0, 1.0) * 255.0).round().astype(np.uint8)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value
