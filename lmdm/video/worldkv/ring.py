"""The ring world: a place whose every cell looks like something, seen through a small window.

A ring of cells with random content; a frame shows a few of them, and the camera moves by at most a
cell a frame. A model that remembers shows on return what it showed before (dossier §6).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.config import from_dict
from lmdm.diffusion.path import interpolate, velocity
from lmdm.dit.layers import KeysValues
from lmdm.dit.rotary import rotate
from lmdm.errors import InputError
from lmdm.fitting import generator_at
from lmdm.video import checkpoint
from lmdm.video.block_causal import chunk_pass, teacher_forced_velocity
from lmdm.video.dit import VideoDiT, VideoDiTConfig, rotation_of

KIND = "ring"
CELLS, VIEW, CHANNELS = 32, 6, 3
CHUNK = 3  # frames
TRAINED_CHUNKS = 6
HARMONICS = 12
RADIUS = 0.3  # of the circle the camera stands on, for its poses
FEATURES = 2 * HARMONICS + 1
CONFIG = VideoDiTConfig(
    channels=CHANNELS, dim=64, depth=2, heads=4, patch=(1, 1, 1), axes=(8, 0, 0),
    rope_base=10000.0, features=FEATURES, multiplier=4,
)  # fmt: skip


def build(settings: dict[str, Any]) -> VideoDiT:
    """The network of a config.json."""
    return VideoDiT(from_dict(VideoDiTConfig, settings, "the ring model"))


def load(folder: Path | None = None) -> VideoDiT:
    """A trained ring model; None is the one that comes with the program."""
    return checkpoint.load(checkpoint.shipped_or(folder, KIND), KIND, build)


def cells_of(positions: Tensor) -> Tensor:
    """The cells that are seen from camera positions [T]: long [T, VIEW]."""
    return (positions[:, None] + torch.arange(VIEW)) % CELLS


def features_of(positions: Tensor) -> Tensor:
    """Where every token looks: harmonics of its ray's angle, and its place in the frame.

    positions [..., T] -> [..., FEATURES, T, 1, VIEW].
    """
    cells = (positions[..., None] + torch.arange(VIEW)) % CELLS
    angles = 2 * math.pi * cells[..., None] / CELLS * torch.arange(1, HARMONICS + 1)
    place = (torch.arange(VIEW) / (VIEW - 1) * 2 - 1).expand(cells.shape)[..., None]
    features = torch.cat([angles.sin(), angles.cos(), place], dim=-1)  # [..., T, VIEW, L]
    return features.movedim(-1, -3).unsqueeze(-2).float()


def walk(frames: int, generator: np.random.Generator) -> Tensor:
    """A random walk of the camera by -1, 0 or 1 cell, in runs: long [frames]."""
    steps: list[int] = []
    while len(steps) < frames:
        steps += [int(generator.integers(-1, 2))] * int(generator.integers(1, 9))
    start = int(generator.integers(CELLS))
    return torch.from_numpy((start + np.cumsum([0, *steps[: frames - 1]])) % CELLS)


def sweep(frames: int, reach: int = 14, start: int = 0) -> Tensor:
    """Out by `reach` cells and back, again and again: long [frames]."""
    phase = torch.arange(frames) % (2 * reach)
    return (start + torch.where(phase > reach, 2 * reach - phase, phase)) % CELLS


def random_sweep(frames: int, generator: np.random.Generator) -> Tensor:
    """Out and back by other distances every time (9 to 15 cells), with rests: long [frames]."""
    moves: list[int] = []
    here = 0
    while len(moves) < frames:
        there = int(generator.integers(9, 16)) if here == 0 else 0
        moves += [1 if there > here else -1] * abs(there - here)
        moves += [0] * int(generator.integers(0, 3))
        here = there
    return torch.from_numpy(np.cumsum([0, *moves[: frames - 1]]) % CELLS)


def poses_of(positions: Tensor) -> Tensor:
    """Camera-to-world matrices [T, 4, 4] of positions [T] (OpenCV axes: y down, z ahead)."""
    yaw = 2 * math.pi * positions.double() / CELLS
    pose = torch.eye(4, dtype=torch.float64).repeat(len(positions), 1, 1)
    pose[:, 0, 0], pose[:, 0, 2] = yaw.cos(), yaw.sin()
    pose[:, 2, 0], pose[:, 2, 2] = -yaw.sin(), yaw.cos()
    pose[:, 0, 3], pose[:, 2, 3] = RADIUS * yaw.sin(), RADIUS * yaw.cos()
    return pose


def positions_of(poses: Tensor) -> Tensor:
    """The nearest positions to camera-to-world matrices [T, 4, 4]: by their yaw."""
    yaw = torch.atan2(poses[:, 0, 2], poses[:, 2, 2])
    return (yaw / (2 * math.pi) * CELLS).round().long() % CELLS


def positions_of_actions(actions: Tensor) -> Tensor:
    """Positions after moves [T] of -1, 0 or 1 cell.

    Raises:
        InputError: another move.
    """
    if actions.dim() != 1 or not bool(torch.isin(actions, torch.tensor([-1, 0, 1])).all()):
        raise InputError("the ring world's actions are one move of -1, 0 or 1 a frame")
    return actions.long().cumsum(0) % CELLS


def batch(step: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Views [B, CHANNELS, T, 1, VIEW] of new worlds on new walks, and their features."""
    generator = np.random.default_rng((seed, step))
    positions = torch.stack([walk(TRAINED_CHUNKS * CHUNK, generator) for _ in range(size)])
    worlds = torch.from_numpy(generator.standard_normal((size, CELLS, CHANNELS))).float()
    cells = (positions[..., None] + torch.arange(VIEW)) % CELLS  # [B, T, VIEW]
    seen = worlds[torch.arange(size)[:, None, None], cells]
    return seen.permute(0, 3, 1, 2).unsqueeze(-2), features_of(positions)


def loss_of(network: nn.Module, step: int, size: int = 16, seed: int = 0) -> Tensor:
    """Teacher-forced flow-matching loss, every chunk at its own time."""
    assert isinstance(network, VideoDiT)
    clean, features = batch(step, size, seed)
    generator = generator_at(seed, step)
    t = torch.rand(size, TRAINED_CHUNKS, generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    noisy = interpolate(clean, noise, t.repeat_interleave(CHUNK, 1)[:, None, :, None, None])
    guess = teacher_forced_velocity(network, clean, noisy, t, features, CHUNK)
    return (guess - velocity(clean, noise)).square().mean()


class RingModel:
    """The ring model as WorldKV drives it; see `lmdm.video.worldkv.adapter.ChunkModel`."""

    chunk_frames = CHUNK
    frame_tokens = VIEW
    keys_are_rotated = True

    def __init__(self, network: VideoDiT, positions: Tensor, batch: int = 1) -> None:
        """positions [T]: the camera's, frame by frame."""
        self.network, self.positions, self.batch = network, positions, batch
        self.layers = network.config.depth

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """[B, C, c, 1, VIEW]."""
        return (self.batch, CHANNELS, CHUNK, 1, VIEW)

    def poses(self) -> Tensor:
        """[T, 4, 4]."""
        return poses_of(self.positions)

    def encode_chunk(
        self, x: Tensor, t: float, chunk: int, past: list[KeysValues] | None
    ) -> tuple[Tensor, list[KeysValues]]:
        """See `ChunkModel`."""
        start = chunk * CHUNK
        features = features_of(self.positions[start : start + CHUNK])
        features = features.expand(len(x), *features.shape).to(x)
        return chunk_pass(self.network, x, t, start, features, past)

    def moved(self, keys: Tensor, frames: float) -> Tensor:
        """Keys [B, heads, N, head_dim] as if they stood so many frames later."""
        place = torch.tensor([[float(frames), 0.0, 0.0]])
        return rotate(keys, rotation_of(self.network.config, place.to(keys)))

    def picture(self, latents: Tensor) -> Tensor:
        """Views [C, T, 1, VIEW] -> [3, T, 1, VIEW] in -1..1."""
        return (latents / 2.5).clamp(-1, 1)
