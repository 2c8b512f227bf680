"""One training run in a folder, of one process or of several that `accelerate launch` started.

Its plan is plan.json, its state state.safetensors, its log log.jsonl; `lmdm.fitting` is the loop.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from lmdm import config, fitting
from lmdm.errors import InputError
from lmdm.fitting import Figures, TrainingState, cosine_rate
from lmdm.sharding import several_on_processors

PRECISIONS = ("no", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Optimization:
    """How the weights are optimised: Adam(0.9, 0.95), a warm-up, then a cosine, and an average."""

    steps: int = 2000
    batch: int = 32  # pictures a step and process
    learning_rate: float = 1e-3
    final_ratio: float = 0.1  # of the learning rate, at the end
    warmup_steps: int = 100
    ema: float = 0.995
    clip: float = 1.0  # of the gradient's norm; 0 does not clip
    seed: int = 1
    precision: str = "no"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}")
        if self.steps < 1 or self.batch < 1:
            raise InputError("steps and batch must be 1 or more")
        if not 0 < self.learning_rate < 1 or not 0 <= self.ema < 1:
            raise InputError("the learning rate must lie in 0..1, and the average's decay below 1")

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return cosine_rate(
            step,
            self.steps,
            self.learning_rate,
            warm_up=self.warmup_steps,
            final=self.final_ratio,
        )


def accelerator_for(device: str, precision: str) -> Accelerator:
    """One process, or this one of those that `accelerate launch` started.

    Raises:
        InputError: the device is not there.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in DEVICES:
        raise InputError(f"device {device!r} is none of {', '.join(DEVICES)}")
    if device in found and not found[device]:
        raise InputError(f"this machine has no {device} device; give --device cpu")
    # Accelerate keeps one state a process, and would refuse a second command's other precision.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    cpu = device == "cpu" or (device == "auto" and several_on_processors())
    try:
        return Accelerator(cpu=cpu, mixed_precision=precision)
    except ValueError as problem:
        raise InputError(f"precision {precision} is not possible here: {problem}") from None


def begin(folder: Path, plan: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Writes plan.json, or checks that the run in this folder is of the same plan.

    Raises:
        InputError: the folder holds a run of another plan; names the first difference.
    """
    if accelerator.is_main_process:
        config.remove_parts(folder)
    with accelerator.main_process_first():
        config.begin(folder / "plan.json", {**plan, "processes": accelerator.num_processes})


def train(
    plan: Optimization,
    folder: Path,
    accelerator: Accelerator,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    step_of: Callable[[int], Figures],
    *,
    title: str,
    minutes: float | None = None,
    checkpoint_every: int = 200,
    at_checkpoint: Callable[[int], Figures] | None = None,
) -> bool:
    """Steps until the plan is done (True) or `minutes` are over (False); see `lmdm.fitting.fit`.

    at_checkpoint(steps done): its figures go into the log, log.jsonl, beside every twentieth
    step's.
    """
    main, log = accelerator.is_main_process, folder / "log.jsonl"
    if main:
        log.touch()

    def after(step: int, figures: Figures) -> None:
        due = step % checkpoint_every == 0 or step == plan.steps
        if due and at_checkpoint is not None:
            figures = figures | at_checkpoint(step)
        if main and (due or step % 20 == 0):
            with log.open("a") as file:
                file.write(json.dumps({"step": step, **figures}) + "\n")

    return fitting.fit(
        TrainingState(folder / "state.safetensors", networks, optimizers, accelerator.scaler),
        plan.steps,
        step_of,
        rate=plan.rate,
        after=after,
        seconds=math.inf if minutes is None else 60 * minutes,
        keep_every=checkpoint_every,
        keeps=main,
        title=title,
        quiet=not main,
    )


def descend(
    loss: Tensor,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    clip: float,
) -> None:
    """One optimiser step down a loss. clip: of the gradient's norm; 0 does not."""
    optimizer.zero_grad()
    accelerator.backward(loss)
    if clip:
        accelerator.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


def as_plan(**parts: Any) -> dict[str, Any]:
    """One flat dictionary of several dataclasses, for plan.json."""
    return {
        f"{part}.{key}": value
        for part, values in parts.items()
        for key, value in asdict(values).items()
    }
