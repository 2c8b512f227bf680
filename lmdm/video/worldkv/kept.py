"""A rollout on disk: its latents and settings, from which memory is computed again exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmdm.errors import InputError
from lmdm.weights import refuse_pickle, write_beside


def keep_latents(
    path: Path, latents: list[Tensor], poses: Tensor, facts: Mapping[str, Any]
) -> None:
    """Writes latents [B, C, T, H, W], the poses [frames, 4, 4], and facts about them."""
    tensors = {"latents": torch.cat(latents, dim=2).contiguous(), "poses": poses.contiguous()}
    metadata = {"facts": json.dumps(dict(facts), sort_keys=True)}
    write_beside(path, lambda part: save_file(tensors, part, metadata))


def kept_latents(path: Path) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """What `keep_latents` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    refuse_pickle(path)
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            return file.get_tensor("latents"), file.get_tensor("poses"), facts
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as problem:
        raise InputError(f"the latents {path} cannot be read ({problem})") from None
