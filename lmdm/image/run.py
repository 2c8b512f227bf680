"""One training run in a folder: its plan (plan.json), its state (state.safetensors), its log.

The state is written beside and renamed, and everything random in a step follows from the step's
number, so a run that was killed goes on as if it never had been.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lmdm.errors import InputError
from lmdm.image.config import read_json, remove_parts, write_json
from lmdm.weights import write_beside

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
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        done = min(1.0, step / self.steps)
        falling = self.final_ratio + (1 - self.final_ratio) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * warm * falling


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
    try:
        return Accelerator(cpu=device == "cpu", mixed_precision=precision)
    except ValueError as problem:
        raise InputError(f"precision {precision} is not possible here: {problem}") from None


def begin(folder: Path, plan: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Writes plan.json, or checks that the run in this folder is of the same plan.

    Raises:
        InputError: the folder holds a run of another plan; names the first difference.
    """
    path = folder / "plan.json"
    document = json.loads(json.dumps({**plan, "processes": accelerator.num_processes}))
    if path.exists():
        before = read_json(path)
        for key in [*document, *before]:
            if before.get(key) != document.get(key):
                raise InputError(
                    f"{folder} holds a run whose {key} was {before.get(key)!r}, not "
                    f"{document.get(key)!r}; give the same, or another folder"
                )
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        remove_parts(folder)
        if not path.exists():
            write_json(path, document)


class RunState:
    """Weights, averages and optimisers of a run, in `state.safetensors`; no pickle."""

    def __init__(
        self,
        folder: Path,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
    ) -> None:
        self.path = folder / "state.safetensors"
        self.networks, self.optimizers = networks, optimizers

    def save(self, step: int, scaler: Mapping[str, Any] | None = None) -> None:
        """Writes everything, beside and renamed."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"{name}.optimizer/{index}/{key}": torch.as_tensor(value)
                    for key, value in moments.items()
                }
        held = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
        about = {"step": json.dumps(step), "scaler": json.dumps(scaler or {})}
        write_beside(self.path, lambda part: save_file(held, part, about))

    def restore(self) -> tuple[int, dict[str, Any]]:
        """Loads what `save` wrote, if anything: the step to go on from, and the scaler's state.

        Raises:
            InputError: the file is damaged or of other networks.
        """
        if not self.path.exists():
            return 0, {}
        try:
            with safe_open(self.path, "pt") as header:
                about = header.metadata()
            tensors = load_file(self.path)
            for name, network in self.networks.items():
                network.load_state_dict(_under(tensors, f"{name}/"))
            for name, optimizer in self.optimizers.items():
                moments: dict[int, dict[str, Tensor]] = {}
                for key, value in _under(tensors, f"{name}.optimizer/").items():
                    index, _, moment = key.partition("/")
                    moments.setdefault(int(index), {})[moment] = value
                groups = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": moments, "param_groups": groups})
        except Exception as problem:  # safetensors raises its own kind, torch RuntimeError
            first = str(problem).splitlines()[0]
            raise InputError(
                f"{self.path} cannot be resumed ({first}); remove it to begin again"
            ) from None
        return json.loads(about["step"]), json.loads(about["scaler"])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights; short memory while the run is young."""
    keep = min(decay, (step + 1) / (step + 10))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast.to(slow), 1 - keep)


def train(
    plan: Optimization,
    folder: Path,
    accelerator: Accelerator,
    state: RunState,
    step_of: Callable[[int], dict[str, float]],
    *,
    title: str,
    minutes: float | None = None,
    checkpoint_every: int = 200,
    at_checkpoint: Callable[[int], dict[str, float]] | None = None,
) -> bool:
    """Steps until the plan is done (True) or `minutes` are over (False). Ctrl-C saves first.

    step_of: does one optimiser step and returns figures for the log.
    """
    step, scaler = state.restore()
    if scaler and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(scaler)
    began = time.monotonic()

    def save() -> None:
        if accelerator.is_main_process:
            state.save(step, accelerator.scaler.state_dict() if accelerator.scaler else None)

    main = accelerator.is_main_process
    bar = tqdm(total=plan.steps, initial=step, desc=title, disable=not main, mininterval=1)
    log = (folder / "log.jsonl").open("a") if main else None
    try:
        while step < plan.steps:
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                break
            for optimizer in state.optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = plan.rate(step)
            figures = step_of(step)
            step += 1
            bar.update()
            if step % 20 == 0 or step == plan.steps:
                bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()})
            due = step % checkpoint_every == 0 or step == plan.steps
            if due and at_checkpoint is not None:
                figures |= at_checkpoint(step)
            if log is not None and (due or step % 20 == 0):
                log.write(json.dumps({"step": step, **figures}) + "\n")
                log.flush()
            if due:
                save()
    except KeyboardInterrupt:
        save()
        raise
    finally:
        bar.close()
        if log is not None:
            log.close()
    save()
    return step >= plan.steps


def as_plan(**parts: Any) -> dict[str, Any]:
    """One flat dictionary of several dataclasses, for plan.json."""
    return {
        f"{part}.{key}": value
        for part, values in parts.items()
        for key, value in asdict(values).items()
    }
