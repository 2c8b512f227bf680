"""The empirical stability region: how large a sampler's updates usually are, step by step (§2.2).

Norms are plain L2 over the flattened latent of one sample, never averaged over a batch. A region
holds for one setting (model, scheduler, steps, guidance, shape, dtype) and is refused for others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmdm.errors import InputError
from lmdm.weights import read_header, read_metadata, write_beside

NORMS = ("update", "denoised", "latents")  # n_δ = ‖z' − z‖, n_0 = ‖x̂0‖, n_z = ‖z'‖
SMALLEST_STD = 1e-5  # late steps vary so little that one would dominate
FEWEST_TRAJECTORIES = 8


def norms_of(latents: Tensor, proposal: Tensor, denoised: Tensor) -> Tensor:
    """The three norms of one step, [3, B] float64, of latents z, proposal z' and x̂0 [B, ...]."""
    parts = (proposal - latents, denoised, proposal)
    return torch.stack([part.double().flatten(1).norm(dim=1) for part in parts])


def fingerprint(setting: Mapping[str, Any]) -> str:
    """Hexadecimal SHA-256 of a setting."""
    return hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Region:
    """mean and std, [K, 3] float64: a row a step, a column a norm, in the order of NORMS.

    setting: what it was measured under, plain values. trajectories: how many it was measured on.
    """

    mean: Tensor
    std: Tensor
    setting: Mapping[str, Any]
    trajectories: int

    @property
    def steps(self) -> int:
        """Steps of the sampler, warm-up calls included."""
        return int(self.mean.shape[0])

    def z(self, norms: Tensor, step: int) -> Tensor:
        """Signed z-scores [3, B] of the norms [3, B] of one step."""
        return (norms - self.mean[step, :, None]) / self.std[step, :, None]

    def profile(self, norms: Tensor) -> Tensor:
        """Signed z-scores [N, K, 3] of whole trajectories [N, K, 3]."""
        return (norms.double() - self.mean) / self.std

    def check(self, setting: Mapping[str, Any]) -> None:
        """Raises InputError, naming what differs, unless `setting` is this region's own."""
        for key in sorted(self.setting.keys() | setting.keys()):
            here, there = self.setting.get(key), setting.get(key)
            if here != there:
                raise InputError(
                    f"this region was calibrated for {key} {_short(here)}, not {_short(there)}; "
                    "calibrate one for this setting"
                )

    def save(self, path: Path) -> None:
        """Writes it as safetensors, beside and renamed."""
        tensors = {"mean": self.mean.contiguous(), "std": self.std.contiguous()}
        metadata = {
            "setting": json.dumps(dict(self.setting), sort_keys=True),
            "trajectories": str(self.trajectories),
            "fingerprint": fingerprint(self.setting),
        }
        write_beside(path, lambda part: save_file(tensors, part, metadata))

    @classmethod
    def load(cls, path: Path) -> Region:
        """Raises InputError unless the file is a whole, unaltered region."""
        header, metadata = read_header(path), read_metadata(path)
        shapes = {name: tensor.shape for name, tensor in header.items()}
        try:
            setting = json.loads(metadata["setting"])
            trajectories = int(metadata["trajectories"])
            sound = (
                shapes.keys() == {"mean", "std"}
                and shapes["mean"] == shapes["std"]
                and shapes["mean"][1:] == (len(NORMS),)
                and metadata["fingerprint"] == fingerprint(setting)
            )
        except (KeyError, ValueError, TypeError):
            sound = False
        if not sound:
            raise InputError(f"{path} is not a stability region; make one with calibrate")
        tensors = load_file(path)
        return cls(tensors["mean"].double(), tensors["std"].double(), setting, trajectories)


def check_count(trajectories: int) -> None:
    """Raises InputError unless a region can be made of so many trajectories."""
    if trajectories < FEWEST_TRAJECTORIES:
        raise InputError(
            f"a region needs {FEWEST_TRAJECTORIES} trajectories or more, not {trajectories}; "
            "give more prompts or seeds"
        )


def calibrate(traces: Sequence[Tensor], setting: Mapping[str, Any]) -> Region:
    """The region of reference trajectories, each [K, 3] norms of an unmitigated run.

    Raises:
        InputError: too few trajectories, or some with other numbers of steps.
    """
    check_count(len(traces))
    if len({trace.shape for trace in traces}) != 1:
        raise InputError("the trajectories differ in their number of steps")
    stacked = torch.stack([trace.double() for trace in traces])
    std = stacked.std(dim=0).clamp_min(SMALLEST_STD)
    return Region(stacked.mean(dim=0), std, dict(setting), len(traces))


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
