"""Tiny checkpoints of stable-audio-tools, written as it writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.formats.golden.weights import drawn

HERE = Path(__file__).parent
DESCRIBED = json.loads((HERE / "stable_audio.json").read_text())  # name -> config, shapes

Tensors = dict[str, torch.Tensor]


def tensors_of(name: str) -> Tensors:
    """The weights of one of the described models."""
    shapes = DESCRIBED[name]["shapes"]
    return {key: torch.from_numpy(drawn(key, tuple(shape))) for key, shape in shapes.items()}


def write(folder: Path, config: dict[str, Any], tensors: Tensors) -> Path:
    """A folder with model_config.json and model.safetensors."""
    folder.mkdir(exist_ok=True)
    (folder / "model_config.json").write_text(json.dumps(config))
    packed = {key: value.contiguous() for key, value in tensors.items()}
    save_file(packed, folder / "model.safetensors")
    return folder
