"""The base: one small text-to-video model of moving shapes, for grids of several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.config import from_dict
from lmdm.diffusion.path import interpolate, velocity
from lmdm.fitting import generator_at
from lmdm.video import checkpoint, words
from lmdm.video.dit import VideoDiT, VideoDiTConfig
from lmdm.video.scenes import GROUND, draw, random_scene
from lmdm.video.timesteps import shifted

KIND = "base"
CONFIG = VideoDiTConfig(vocabulary=len(words.VOCABULARY))
FRAMES, SIZE = 13, 16  # the full clip
UNPROMPTED = 0.1  # share of examples without any word
UNSAID = 0.2  # share of the other examples' words that are left out
SPREAD = 0.4  # of the pictures around their dark ground: latents have about unit variance
GRIDS = ((13, 16), (13, 16), (10, 16), (7, 16), (8, 12), (5, 8), (6, 12), (10, 8))  # frames, size


def build(settings: dict[str, Any]) -> VideoDiT:
    """The network of a config.json."""
    return VideoDiT(from_dict(VideoDiTConfig, settings, "the base"))


def load(folder: Path) -> VideoDiT:
    """A trained base.

    Raises:
        InputError: no such model, or one of another kind.
    """
    return checkpoint.load(folder, KIND, build)


def to_latents(video: Tensor) -> Tensor:
    """Pictures in -1..1 as the network has them: the ground at 0."""
    return (video - (2 * GROUND - 1)) / SPREAD


def to_pictures(latents: Tensor) -> Tensor:
    """Undoes `to_latents`, clamped to -1..1."""
    return (latents * SPREAD + (2 * GROUND - 1)).clamp(-1, 1)


def batch(step: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Latents [B, 3, T, H, W] of one grid and their prompts [B, words], from step and seed.

    Every other grid than the full one shows the same 13 frames' time by fewer frames, as DVG's
    early stages do, or, half of the time, a shorter clip at full rate.
    """
    generator = np.random.default_rng((seed, step))
    frames, height = GRIDS[generator.integers(len(GRIDS))]
    stretched = generator.random() < 0.5
    times = torch.linspace(0, FRAMES - 1, frames) if stretched else torch.arange(float(frames))
    scenes = [random_scene(generator) for _ in range(size)]
    videos = torch.stack([draw(scene, times, height, height) for scene in scenes])
    prompts = torch.stack([words.encode(_said(scene.prompt, generator)) for scene in scenes])
    return to_latents(videos), prompts


def _said(prompt: str, generator: np.random.Generator) -> str:
    """The prompt, or a part of it, or nothing: the model must be able to choose what is unsaid."""
    if generator.random() < UNPROMPTED:
        return ""
    return " ".join(word for word in prompt.split() if generator.random() >= UNSAID)


def loss_of(network: nn.Module, step: int, size: int = 16, seed: int = 0) -> Tensor:
    """Flow-matching loss of one batch: ||v(x_t, t, words) - (noise - x0)||^2, t shifted by 3."""
    videos, prompts = batch(step, size, seed)
    generator = generator_at(seed, step)
    t = shifted(torch.rand(size, generator=generator), 3.0)
    noise = torch.randn(videos.shape, generator=generator)
    noisy = interpolate(videos, noise, t.view(-1, 1, 1, 1, 1))
    return (network(noisy, t, prompts) - velocity(videos, noise)).square().mean()
