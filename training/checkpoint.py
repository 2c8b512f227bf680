"""The state of a run in one safetensors file: weights, averages, optimisers, step. No pickle.

Files are written beside and renamed, so a kill at any moment leaves the last whole one. States are
gathered by `torch.distributed.checkpoint.state_dict`, which names optimiser moments by parameter
and makes no difference between one process, DDP and FSDP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from lmdm.errors import InputError
from lmdm.weights import write_beside

FILE = re.compile(r"step-(\d+)\.safetensors")
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, flatten_optimizer_state_dict=True)


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer on the CPU, gathered from all processes. Collective."""
    return dict(get_model_state_dict(module, options=WHOLE))


class Checkpoints:
    """The newest `kept` states of one run, as FOLDER/step-0000100.safetensors."""

    def __init__(self, folder: Path, kept: int = 2) -> None:
        self.folder, self.kept = folder, kept

    def steps(self) -> list[int]:
        """The steps of which there is a whole file, rising."""
        found = (FILE.fullmatch(path.name) for path in self.folder.glob("step-*.safetensors"))
        return sorted(int(match[1]) for match in found if match)

    def path(self, step: int) -> Path:
        """The file of one step."""
        return self.folder / f"step-{step:07d}.safetensors"

    def write(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
        """Write one state, then leave out the oldest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        apart = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        metadata = {"facts": json.dumps({**facts, "step": step})}
        write_beside(self.path(step), lambda part: save_file(apart, part, metadata))
        for old in self.steps()[: -self.kept]:
            self.path(old).unlink(missing_ok=True)
        return self.path(step)

    def read(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts of one step.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path(step)
        try:
            with safe_open(path, "pt") as header:
                facts = json.loads((header.metadata() or {})["facts"])
            return load_file(path), facts
        except (SafetensorError, OSError, KeyError, ValueError) as problem:
            raise InputError(
                f"the checkpoint {path} cannot be read ({problem}); delete it to go on from the "
                "one before"
            ) from None


class State:
    """What a run trains: named modules, their averages, optimisers.

    modules are as prepared by Accelerate; averages are plain modules; each optimiser belongs to the
    module of the same name.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        averages: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.modules, self.optimizers = dict(modules), dict(optimizers)
        self.averages = dict(averages or {})

    def gather(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and optimiser settings, gathered from all processes. Collective."""
        tensors: dict[str, Tensor] = {}
        settings: dict[str, Any] = {}
        for name, module in self.modules.items():
            tensors |= {f"{name}.weights.{k}": v for k, v in whole_weights(module).items()}
        for name, module in self.averages.items():
            tensors |= {f"{name}.average.{k}": v for k, v in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            flat = get_optimizer_state_dict(self.modules[name], optimizer, options=WHOLE)
            for key, value in flat.items():
                if isinstance(value, Tensor):
                    tensors[f"{name}.optimizer.{key}"] = value
                else:
                    settings[f"{name}.optimizer.{key}"] = value
        return tensors, settings

    def restore(self, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
        """Fill everything from what `gather` gave. Every process reads the file for itself."""
        for name, module in self.modules.items():
            weights = under(tensors, f"{name}.weights.")
            set_model_state_dict(module, weights, options=WHOLE)
        for name, module in self.averages.items():
            module.load_state_dict(under(tensors, f"{name}.average."))
        for name, optimizer in self.optimizers.items():
            prefix = f"{name}.optimizer."
            flat: dict[str, Any] = {**under(tensors, prefix), **under(settings, prefix)}
            if any(key.startswith("state.") for key in flat):
                set_optimizer_state_dict(self.modules[name], optimizer, flat, options=WHOLE)


def under(entries: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in entries.items() if k.startswith(prefix)}
