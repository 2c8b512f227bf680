"""stable-audio-tools itself, imported from a folder, with stand-ins for what it need not do here.

    pip download --no-deps stable-audio-tools einops einops_exts && unzip them into one folder

Only the pieces that are compared are imported: the diffusion transformer, Oobleck, number
conditioners, samplers. T5, torchaudio, k-diffusion and alias_free_torch are stand-ins.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from tests.formats.golden.weights import drawn


class Absent(nn.Module):
    """What is imported by name, and never used."""


def import_reference(*folders: Path) -> Any:
    """The package stable_audio_tools, with its factory loaded."""
    sys.path[:0] = [str(folder) for folder in folders]
    for name in ("torchaudio", "torchaudio.transforms", "alias_free_torch", "k_diffusion"):
        stand_in = ModuleType(name)
        stand_in.__dict__.update(Resample=Absent, Activation1d=Absent, Spectrogram=Absent)
        sys.modules[name] = stand_in
    sys.modules["torchaudio"].transforms = sys.modules["torchaudio.transforms"]  # type: ignore[attr-defined]
    from stable_audio_tools.models import conditioners, factory

    class NoText(conditioners.Conditioner):
        """T5 is compared elsewhere; its projection has weights."""

        def __init__(self, output_dim: int, project_out: bool = False, **_: Any) -> None:
            super().__init__(768, output_dim, project_out=project_out)

    conditioners.T5Conditioner = NoText
    return factory


def built(factory: Any, config: dict[str, Any]) -> Any:
    """The reference's model of a configuration, with drawn weights."""
    model = factory.create_model_from_config(config).eval().requires_grad_(False)
    state = {
        name: torch.from_numpy(drawn(name, tuple(tensor.shape)))
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model
