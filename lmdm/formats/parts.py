"""What a foreign checkpoint holds, in this program's terms, before any weight is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmdm.codec.oobleck import OobleckConfig
from lmdm.conditioning.numbers import ConditionerConfig
from lmdm.dit.config import DiTConfig
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig


def as_it_is(tensor: Tensor) -> Tensor:
    """The tensor."""
    return tensor


@dataclass(frozen=True)
class Recipe:
    """How one tensor of ours is made of a checkpoint's tensors `names`."""

    names: tuple[str, ...]
    make: Callable[..., Tensor] = as_it_is


@dataclass(frozen=True)
class Parts:
    """A checkpoint taken apart. `recipes` tell, for each part, our tensor's name -> its recipe.

    Parts are "dit", "codec", "conditioner" and "text". `unused` are tensors that belong to training
    and are left out knowingly; every other tensor has a recipe.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]  # configs, then weights
    config: str  # what sentences call the configuration
    dit: DiTConfig
    codec: OobleckConfig
    conditioner: ConditionerConfig
    text: Mapping[str, Any] | None  # as `lmdm.conditioning.t5.T5Config` has it
    stream: StreamConfig
    recipes: Mapping[str, Mapping[str, Recipe]]
    prefixes: Mapping[str, str] = field(default_factory=dict)  # part -> where its tensors stand
    unused: tuple[str, ...] = ()

    @property
    def weights(self) -> tuple[Path, ...]:
        """The safetensors files."""
        return tuple(path for path in self.files if path.suffix == ".safetensors")


def rows(*tensors: Tensor) -> Tensor:
    """Matrices one under another."""
    return torch.cat(tensors, dim=0)


def flat(tensor: Tensor) -> Tensor:
    """[1, C, 1] -> [C]."""
    return tensor.reshape(-1)


def weight_norm(gain: Tensor, direction: Tensor) -> Tensor:
    """w = g v / |v|, the norm over all dimensions but the first (arXiv 1602.07868)."""
    return torch._weight_norm(direction.float(), gain.float(), 0)  # torch's own, to the last bit


def folded(names: Mapping[str, str]) -> dict[str, Recipe]:
    """Recipes of convolutions whose weight norm is folded.

    names: name without weight norm's suffix (or with it, of any of the ways torch writes it) ->
    the checkpoint's name.
    """
    recipes: dict[str, Recipe] = {}
    for name, given in names.items():
        for gain, direction in (
            ("weight_g", "weight_v"),
            ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ):
            if name.endswith("." + gain):
                stem = name.removesuffix(gain)
                if stem + direction not in names:
                    raise InputError(f"the tensor {given!r} has no {direction} beside it")
                recipes[stem + "weight"] = Recipe((given, names[stem + direction]), weight_norm)
                break
            if name.endswith("." + direction):
                if name.removesuffix(direction) + gain not in names:
                    raise InputError(f"the tensor {given!r} has no {gain} beside it")
                break
        else:
            make = flat if name.endswith((".alpha", ".beta")) else as_it_is
            recipes[name] = Recipe((given,), make)
    return recipes


def stream_of(dit: DiTConfig, frames: int | None, distilled: bool) -> StreamConfig:
    """How a checkpoint is streamed unless it says otherwise.

    frames: the longest window it was trained on, in latent frames. The paper's context of 192 and
    block of 48 where they fit, else in the same proportion (dossier §2.1); outpainting where there
    is no context stem. distilled: few-step (ARC), for ping-pong; else Euler and 50 steps (§2.7).
    """
    block = max(1, min(48, (frames or 240) // 5) // dit.patch) * dit.patch
    return StreamConfig(
        context_frames=4 * block,
        block_frames=block,
        window_blocks=4,
        strategy="encoder-decoder" if dit.routed else "outpainting",
        steps=8 if distilled else 50,
        sampler="ping-pong" if distilled else "euler",
        absent_context="zeros" if dit.routed else "empty",
        accompaniment=dit.routed and dit.local_channels == 1 + dit.latent_channels,
    )
