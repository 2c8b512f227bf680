"""Training checkpoints without pickle: weights and optimiser tensors as safetensors, written beside
and renamed, so that a kill at any moment leaves the last good one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class TrainingState:
    """The newest state of one run, in `RUN/state.safetensors`; extra models may ride along."""

    def __init__(self, run: Path) -> None:
        self.path = run / "state.safetensors"

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        extra: dict[str, nn.Module] | None = None,
    ) -> None:
        """Write model, extra models, optimiser, step and torch's random state in one file."""
        tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
        for name, module in (extra or {}).items():
            tensors |= {f"{name}.{k}": v.contiguous() for k, v in module.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
        tensors["random"] = torch.get_rng_state()
        beside = self.path.with_suffix(".part")
        save_file({k: v.clone() for k, v in tensors.items()}, beside, {"step": json.dumps(step)})
        os.replace(beside, self.path)

    def restore(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        extra: dict[str, nn.Module] | None = None,
    ) -> int:
        """Load what `save` wrote, if anything; returns the step to go on from."""
        if not self.path.exists():
            return 0
        with safe_open(self.path, "pt") as header:
            step = int(json.loads(header.metadata()["step"]))
        tensors = load_file(self.path)
        model.load_state_dict(under(tensors, "model."))
        for name, module in (extra or {}).items():
            module.load_state_dict(under(tensors, f"{name}."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in under(tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        return step


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
