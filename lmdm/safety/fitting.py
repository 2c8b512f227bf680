"""The training loop as the digits experiment calls it; see `lmdm.fitting`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lmdm.fitting import fit_network, generator_at


def fit(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[int, torch.Generator], Tensor],
    steps: int,
    state: Path,
    *,
    seed: int = 0,
    quiet: bool = False,
) -> None:
    """Trains `module` by loss(step, generator) up to `steps`, going on from `state`."""
    fit_network(
        module, optimizer, lambda step: loss(step, generator_at(seed, step)), state, steps,
        quiet=quiet,
    )  # fmt: skip
