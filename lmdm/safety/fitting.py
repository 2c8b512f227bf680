"""A small training loop that can be killed at any step and goes on exactly where it was.

Every step draws from a generator seeded by (seed, step), so no random state needs keeping: weights,
optimiser moments and the step are the whole state, in one safetensors file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import trange

from lmdm.errors import InputError
from lmdm.weights import read_header, write_beside

SAVE_EVERY = 200  # steps

Loss = Callable[[int, torch.Generator], Tensor]


def fit(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    steps: int,
    state: Path,
    *,
    seed: int = 0,
    decay: bool = False,
    after: Callable[[int, float], None] | None = None,
    quiet: bool = False,
) -> list[float]:
    """Trains `module` up to `steps` optimiser steps; resumes from `state` if it is there.

    loss(step, generator): the scalar to go down, from that step's own generator.
    decay: lower the rate by a cosine, to a hundredth of the optimiser's own at the end.
    after(step, loss): called after each step, for logs. Ctrl-C saves before it goes through.
    Returns the losses of the steps that this call made.

    Raises:
        InputError: `state` belongs to another model or optimiser.
        RuntimeError: the loss is not finite.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    first = done = _restore(module, optimizer, state)
    losses: list[float] = []
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    module.train()
    with _saved_at_the_end(lambda: _save(module, optimizer, done, state)):
        for step in trange(first, steps, initial=first, total=steps, disable=quiet, unit="step"):
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            value = loss(step, generator)
            if not torch.isfinite(value):
                raise RuntimeError(f"the loss is not finite at step {step}; lower the rate")
            if decay:
                share = 0.505 + 0.495 * math.cos(math.pi * step / steps)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = share * rate
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            done = step + 1
            losses.append(value.item())
            if after is not None:
                after(step, losses[-1])
            if done % SAVE_EVERY == 0:
                _save(module, optimizer, done, state)
    module.eval()
    return losses


@contextmanager
def _saved_at_the_end(save: Callable[[], None]) -> Iterator[None]:
    """Saves when the loop is over, also when Ctrl-C ends it."""
    try:
        yield
    except KeyboardInterrupt:
        save()
        raise
    save()


def _save(module: nn.Module, optimizer: torch.optim.Optimizer, step: int, state: Path) -> None:
    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    whole = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    metadata = {"step": json.dumps(step)}
    write_beside(state, lambda part: save_file(whole, part, metadata))


def _restore(module: nn.Module, optimizer: torch.optim.Optimizer, state: Path) -> int:
    """Loads what `_save` wrote; the step to go on from, 0 where there is nothing."""
    if not state.exists():
        return 0
    read_header(state)  # damaged files are refused in one sentence
    with safe_open(state, "pt") as header:
        step = int(json.loads((header.metadata() or {}).get("step", "0")))
    tensors = load_file(state)
    try:
        module.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
    except RuntimeError:
        raise InputError(
            f"{state} belongs to a run with other settings; give another folder, or remove it"
        ) from None
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    return step
