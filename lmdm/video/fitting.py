"""A training loop for networks of minutes: seeded by step, so a resumed run is the same run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.weights import write_beside


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast. The learning rate rises over `warm_up` steps and falls as a cosine.

    The weights that count are an average with decay `average` (less in the beginning).
    """

    steps: int
    rate: float = 1e-3
    warm_up: int = 50
    average: float = 0.995
    keep_every: int = 100
    clip: float = 1.0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        share = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))


def fit(
    network: nn.Module,
    loss_of: Callable[[nn.Module, int], Tensor],
    config: FitConfig,
    state: Path,
) -> Iterator[tuple[int, float]]:
    """Trains; yields (steps done, loss) after every step. At the end `network` is the average.

    loss_of(network, step) draws its own examples, seeded by the step. What is learnt is kept in the
    file `state` every `keep_every` steps, when the caller stops early (closes this generator), and
    at the end; a run finds it there and goes on.

    Raises:
        InputError: the file is of another network, damaged, or of a run with more steps.
    """
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone() for name, p in trained.items()}
    fixed = {name: x for name, x in network.state_dict().items() if name not in trained}
    optimizer = torch.optim.AdamW(trained.values(), lr=config.rate, betas=(0.9, 0.99))
    step = _resume(state, trained, average, fixed, optimizer) if state.exists() else 0
    if step > config.steps:
        raise InputError(f"{state} has {step} steps, more than {config.steps}; give it more steps")
    network.train()
    try:
        while step < config.steps:
            for group in optimizer.param_groups:
                group["lr"] = config.rate_at(step)
            loss = loss_of(network, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained.values(), config.clip)
            optimizer.step()
            step += 1
            decay = min(config.average, step / (step + 10))
            for name, parameter in trained.items():
                average[name].lerp_(parameter.detach(), 1 - decay)
            if step % config.keep_every == 0:
                _keep(state, step, trained, average, fixed, optimizer)
            yield step, float(loss.detach())
    finally:
        _keep(state, step, trained, average, fixed, optimizer)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(average[name])
    network.eval()


def _keep(
    state: Path,
    step: int,
    trained: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    fixed: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors = {f"weight.{name}": p.detach().clone() for name, p in trained.items()}
    tensors |= {f"average.{name}": p.clone() for name, p in average.items()}
    tensors |= {f"fixed.{name}": x.clone() for name, x in fixed.items()}
    for name, parameter in trained.items():
        moments = optimizer.state.get(parameter, {})
        for part in ("exp_avg", "exp_avg_sq"):
            if part in moments:
                tensors[f"{part}.{name}"] = moments[part].clone()
    metadata = {"step": json.dumps(step)}
    state.parent.mkdir(parents=True, exist_ok=True)
    write_beside(state, lambda part: save_file(tensors, part, metadata))


def _resume(
    state: Path,
    trained: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    fixed: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    try:
        with safe_open(state, "pt") as file:
            step = int(file.metadata()["step"])
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{state} cannot be gone on from ({problem}); remove it") from None
    with torch.no_grad():
        for name, parameter in trained.items():
            weight = kept.get(f"weight.{name}")
            if weight is None or weight.shape != parameter.shape:
                raise InputError(f"{state} is of another network ({name} differs); remove it")
            parameter.copy_(weight)
            average[name].copy_(kept[f"average.{name}"])
            if f"exp_avg.{name}" in kept:  # what no loss has reached yet has no moments
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": kept[f"exp_avg.{name}"],
                    "exp_avg_sq": kept[f"exp_avg_sq.{name}"],
                }
        for name, tensor in fixed.items():  # random features that are not learnt
            tensor.copy_(kept[f"fixed.{name}"])
    return step
