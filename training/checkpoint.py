"""The state of a run in one safetensors file: weights, averages, optimisers, step. No pickle.

Files are written beside and renamed, so a kill at any moment leaves the last whole one. Moments are
named by their parameter. Weights and moments that FSDP has sharded are gathered, and shared out
again when they are read, so a run may go on with another number of processes.
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
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from lmdm.errors import InputError
from lmdm.weights import write_beside

FILE = re.compile(r"step-(\d+)\.safetensors")


def bare(module: nn.Module) -> nn.Module:
    """The module inside of DDP."""
    return module.module if isinstance(module, DistributedDataParallel) else module


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded, in one piece. Collective if it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, example: Tensor) -> Tensor:
    """A whole tensor, sharded as `example` is, on its device."""
    tensor = tensor.to(example.device)
    if isinstance(example, DTensor):
        return distribute_tensor(tensor, example.device_mesh, example.placements)
    return tensor


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer by name, gathered from all processes. Collective."""
    return {name: whole(tensor) for name, tensor in bare(module).state_dict().items()}


def named_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters by the names that `state_dict` gives them, whatever wraps their modules."""
    wrapper = "_checkpoint_wrapped_module."
    return {name.replace(wrapper, ""): each for name, each in bare(module).named_parameters()}


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
        """Write one state, then remove the oldest."""
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

    modules are as prepared by Accelerate; averages are plain modules. optimizers: name -> the name
    of the module whose parameters it has, and itself.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, tuple[str, torch.optim.Optimizer]],
        averages: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.modules, self.optimizers = dict(modules), dict(optimizers)
        self.averages = dict(averages or {})

    def gather(self) -> dict[str, Tensor]:
        """All tensors by name, in one piece. Collective."""
        tensors: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            tensors |= {f"{name}.weights.{k}": v for k, v in whole_weights(module).items()}
        for name, module in self.averages.items():
            tensors |= {f"{name}.average.{k}": v for k, v in module.state_dict().items()}
        for name, (of, optimizer) in self.optimizers.items():
            for key, parameter in named_parameters(self.modules[of]).items():
                for kind, value in optimizer.state.get(parameter, {}).items():
                    tensors[f"{name}.optimizer.{kind}.{key}"] = whole(torch.as_tensor(value))
        return tensors

    def part(self, name: str, inside: str) -> dict[str, Tensor]:
        """The weights of a module's part `inside`, by its own names, in one piece. Collective."""
        return under(whole_weights(self.modules[name]), f"{inside}.")

    def trained(self, name: str, inside: str) -> dict[str, Tensor]:
        """The same on the CPU, to be exported: the averaged ones where there are such."""
        weights = self.part(name, inside)
        if name in self.averages:
            weights = self.averages[name].state_dict()
        return {key: each.cpu() for key, each in weights.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill everything from what `gather` gave. Every process reads the file for itself."""
        for name, module in self.modules.items():
            own = bare(module).state_dict()
            weights = under(tensors, f"{name}.weights.")
            bare(module).load_state_dict({k: like(v, own[k]) for k, v in weights.items()})
        for name, module in self.averages.items():
            module.load_state_dict(under(tensors, f"{name}.average."))
        for name, (of, optimizer) in self.optimizers.items():
            parameters = named_parameters(self.modules[of])
            optimizer.state.clear()
            for entry, value in under(tensors, f"{name}.optimizer.").items():
                kind, _, key = entry.partition(".")
                parameter = parameters[key]
                placed = like(value, parameter) if value.dim() else value.clone()
                optimizer.state[parameter][kind] = placed


def under(entries: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in entries.items() if k.startswith(prefix)}
