"""The loop that every trainer shares: Accelerate, seeds, checkpoints, progress, Ctrl-C.

A trainer is a `Trainer`: it owns its modules and optimisers, and `step` does one optimiser step and
returns figures. Everything random in a step follows from (seed, step, row), where rows number the
examples of the whole batch over all processes: so a run that is killed and resumed sees what the
unbroken one would, and N processes see together what one process would see alone.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from tqdm import tqdm

from lmdm.errors import InputError
from lmdm.sharding import several_on_processors
from training.checkpoint import State, bare, whole
from training.config import MAY_CHANGE, check_range
from training.run import Run, open_config

INFINITE = float("inf")
HELD_OUT_STEP = 10**9  # a step that no run trains, so that its rows are nobody else's
Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class EngineConfig:
    """What all trainers share. Rows are examples; one step is one optimiser step."""

    seed: int = 1
    steps: int = field(default=4000, metadata=MAY_CHANGE)
    batch_size: int = 16  # rows a step over all processes and accumulation
    microbatch: int = field(default=16, metadata=MAY_CHANGE)  # rows at once in one process
    precision: Precision = "no"
    sharded: bool = field(default=False, metadata=MAY_CHANGE)  # FSDP instead of DDP
    activation_checkpointing: bool = field(default=False, metadata=MAY_CHANGE)
    checkpoint_minutes: float = field(default=5.0, metadata=MAY_CHANGE)
    checkpoint_steps: int = field(default=0, metadata=MAY_CHANGE)  # 0: by the clock alone
    log_steps: int = field(default=10, metadata=MAY_CHANGE)
    validate_steps: int = field(default=200, metadata=MAY_CHANGE)  # 0: never

    def __post_init__(self) -> None:
        names = ("steps", "batch_size", "microbatch", "log_steps")
        check_range(self, 1, INFINITE, names, "engine.")
        names = ("seed", "checkpoint_minutes", "checkpoint_steps", "validate_steps")
        check_range(self, 0, INFINITE, names, "engine.")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, with a linear warm-up and then a cosine or nothing."""

    learning_rate: float = 5e-5
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    warmup_steps: int = 100
    schedule: Literal["constant", "cosine"] = "constant"
    final: float = 0.02  # of the learning rate, at the cosine's end
    clip: float = 1.0  # largest norm of the whole gradient

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of one step of so many."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "constant":
            return rate
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
        return rate * (self.final + (1 - self.final) * cosine)

    def build(self, module: nn.Module) -> torch.optim.AdamW:
        """Over the parameters that are trained."""
        trained = [each for each in module.parameters() if each.requires_grad]
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(
            trained, lr=self.learning_rate, betas=betas, weight_decay=self.weight_decay
        )


class Trainer(Protocol):
    """What the loop needs of a trainer."""

    name: str
    state: State

    def facts(self) -> Mapping[str, Any]:
        """What the run's environment.json tells of it: sizes, hashes."""
        ...

    def step(self, step: int) -> Mapping[str, Tensor | float]:
        """One optimiser step; scalars to log."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Figures on held-out pieces; none where there are no such pieces."""
        ...

    def export(self, folder: Path) -> None:
        """Write the model folder. Collective."""
        ...


def accelerator(config: EngineConfig, all_parameters_used: bool = True) -> Accelerator:
    """One process, or one of those that `accelerate launch` or `torchrun` started."""
    ddp = DistributedDataParallelKwargs(find_unused_parameters=not all_parameters_used)
    try:
        return Accelerator(
            cpu=several_on_processors(), mixed_precision=config.precision, kwargs_handlers=[ddp]
        )
    except ValueError as problem:
        raise InputError(
            f"config key 'engine.precision' is {config.precision}: {problem}"
        ) from None


def prepare(
    accelerator: Accelerator,
    config: EngineConfig,
    module: nn.Module,
    plans: Mapping[str, tuple[OptimizerConfig, nn.Module]],
) -> tuple[nn.Module, dict[str, Any]]:
    """The module for this process, and its optimisers by name.

    plans: each optimiser's settings, and the part of the module that it trains. DDP where there are
    several processes; with `config.sharded` FSDP: parameters, gradients and moments are shared out
    and gathered for each pass of the whole module.
    """
    if not config.sharded:
        optimizers = {name: plan.build(part) for name, (plan, part) in plans.items()}
        module, *prepared = accelerator.prepare(module, *optimizers.values())
        return module, dict(zip(optimizers, prepared, strict=True))
    if accelerator.num_processes == 1:
        raise InputError(
            "config key 'engine.sharded' is true, but there is one process; start several with "
            "accelerate launch"
        )
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    fully_shard(module.to(accelerator.device), mesh=mesh, reshard_after_forward=True)
    optimizers = {
        name: accelerator.prepare_optimizer(plan.build(part))
        for name, (plan, part) in plans.items()
    }
    # Mixed precision without another wrapper.
    return accelerator.prepare_model(module, evaluation_mode=True), optimizers


@dataclass(frozen=True)
class Rows:
    """Which rows of each step's batch this process takes, in which order."""

    batch_size: int
    microbatch: int
    processes: int = 1
    process: int = 0

    @classmethod
    def of(cls, config: EngineConfig, accelerator: Accelerator) -> Rows:
        """Raises InputError unless the batch can be shared out evenly."""
        processes = accelerator.num_processes
        micro = min(config.microbatch, max(1, config.batch_size // processes))
        if config.batch_size % (micro * processes):
            raise InputError(
                f"config key 'engine.batch_size' is {config.batch_size}; it must be a multiple of "
                f"microbatch x processes, {micro} x {processes}"
            )
        return cls(config.batch_size, micro, processes, accelerator.process_index)

    def microbatches(self) -> list[list[int]]:
        """Row numbers of each micro-batch of this process; together all processes take all rows."""
        own = list(range(self.process, self.batch_size, self.processes))
        return [own[at : at + self.microbatch] for at in range(0, len(own), self.microbatch)]


def seed_of(*numbers: int) -> int:
    """One seed out of several numbers, well mixed (SplitMix64 steps)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) % 2**64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
        state ^= state >> 31
    return state % 2**63


def generator_of(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by several numbers, such as (seed, step, row)."""
    return torch.Generator().manual_seed(seed_of(*numbers))


def row_noise(like: Tensor, *numbers: int, rows: list[int]) -> Tensor:
    """Gaussian noise of like's shape [B, ...], row b drawn from (numbers, rows[b])."""
    drawn = [torch.randn(like.shape[1:], generator=generator_of(*numbers, row)) for row in rows]
    return torch.stack(drawn).to(like)


def descend(
    accelerator: Accelerator,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    plan: OptimizerConfig,
    rate: float,
    losses: Callable[[list[int]], tuple[Tensor, dict[str, Tensor]]],
    batches: list[list[int]],
) -> dict[str, Tensor]:
    """One optimiser step over accumulated micro-batches.

    losses(rows): the loss of one micro-batch, a mean over its rows, and figures to log. Returns the
    figures' means over all processes and the gradient's norm.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    totals: dict[str, Tensor] = {}
    bare(module).train()
    for index, rows in enumerate(batches):
        last = index == len(batches) - 1
        with nullcontext() if last else accelerator.no_sync(module):
            loss, figures = losses(rows)
            accelerator.backward(loss / len(batches))
        for name, value in figures.items():
            totals[name] = totals.get(name, 0) + value.detach() / len(batches)
    trained = [each for each in module.parameters() if each.requires_grad]
    norm = accelerator.clip_grad_norm_(trained, plan.clip)
    optimizer.step()
    names = sorted(totals)
    means = accelerator.reduce(torch.stack([totals[n].float() for n in names]), reduction="mean")
    return {**dict(zip(names, means, strict=True)), "gradient_norm": whole(torch.as_tensor(norm))}


@torch.no_grad()
def update_average(
    average: nn.Module, weights: Mapping[str, Tensor], step: int, decay: float
) -> None:
    """Exponential moving average of the weights; short memory while the run is young."""
    keep = min(decay, (step + 1) / (step + 10))
    for name, slow in average.state_dict().items():
        fast = weights[name].to(slow)
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """The module's weights are constants, through forward and backward."""
    trained = [each for each in module.parameters() if each.requires_grad]
    for each in trained:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in trained:
            each.requires_grad_(True)


def trained_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(each.numel() for each in module.parameters() if each.requires_grad)


def checkpointed_layers(module: nn.Module) -> None:
    """Let every transformer layer forget its activations and compute them again going back."""
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
        apply_activation_checkpointing,
    )

    from lmdm.dit.layers import TransformerLayer

    apply_activation_checkpointing(module, check_fn=lambda m: isinstance(m, TransformerLayer))


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C (and SIGTERM) ask to stop after the step; a second Ctrl-C stops at once."""
    asked = False

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    trainer_of: Callable[[Any, Accelerator, Path], Trainer],
    kind: type[Any],
    folder: Path,
    file: Path | None,
    settings: list[str],
    minutes: float,
    all_parameters_used: bool = True,
) -> dict[str, Any]:
    """Begin or go on with the run of a folder; returns what there is to say of it.

    trainer_of: (config of this kind, accelerator, folder) -> trainer.

    Raises:
        InputError: a config key, the model or the data are refused.
    """
    config, resumed = open_config(kind, folder, file, settings)
    processes = accelerator(config.engine, all_parameters_used)
    run = Run(folder, config, processes.is_main_process)
    trainer = trainer_of(config, processes, folder)
    facts = {"seed": config.engine.seed, **trainer.facts()}
    done = fit(run, processes, config.engine, trainer, facts, minutes)
    return {"run": str(folder), "resumed": resumed, "done": done, "model": str(folder / "model")}


def fit(
    run: Run[Any],
    accelerator: Accelerator,
    config: EngineConfig,
    trainer: Trainer,
    facts: Mapping[str, Any],
    minutes: float = INFINITE,
) -> bool:
    """Train to `config.steps`, resuming what the folder holds; returns whether it came that far.

    Stops early after `minutes`, or on Ctrl-C, with everything saved. Writes the model folder.
    """
    done = run.checkpoints.steps()
    step = done[-1] if done else 0
    if done:
        trainer.state.restore(run.checkpoints.read(step)[0])
    run.begin({**facts, "processes": accelerator.num_processes, "from_step": step})
    run.forget_after(step)
    started = saved = time.monotonic()
    saved_step = step
    figures: Mapping[str, Tensor | float] = {}
    main = accelerator.is_main_process
    bar = tqdm(total=config.steps, initial=step, desc=trainer.name, unit="step", disable=not main)
    try:
        with interrupts() as asked:
            while step < config.steps:
                figures = trainer.step(step)
                step += 1
                bar.update()
                if step % config.log_steps == 0 or step == config.steps:
                    values = _finite(figures, step)
                    run.log(step, values)
                    bar.set_postfix({k: f"{v:.3g}" for k, v in list(values.items())[:4]})
                if config.validate_steps and step % config.validate_steps == 0:
                    run.log(step, {f"held_out/{k}": v for k, v in trainer.validate().items()})
                now = time.monotonic()
                leave = asked() or now - started > minutes * 60
                if accelerator.num_processes > 1:
                    leave = _any(accelerator, leave)
                due = now - saved > config.checkpoint_minutes * 60
                if accelerator.num_processes > 1:
                    due = _any(accelerator, due)
                if leave:
                    break  # and be saved below
                if due or (config.checkpoint_steps and step % config.checkpoint_steps == 0):
                    _save(run, trainer, step, figures)
                    saved, saved_step = time.monotonic(), step
            if step != saved_step or not done:
                _save(run, trainer, step, figures)
            if main and asked():
                said = f"stopped at step {step}; the same command goes on from there"
                tqdm.write(said, file=sys.stderr)
    finally:
        bar.close()
        run.close()
    trainer.export(run.folder / "model")
    return step >= config.steps


def _any(accelerator: Accelerator, flag: bool) -> bool:
    """Whether the flag is set in any process."""
    mine = torch.tensor(float(flag), device=accelerator.device)
    return bool(accelerator.reduce(mine, reduction="sum") > 0)


def _save(run: Run[Any], trainer: Trainer, step: int, figures: Mapping[str, Any]) -> None:
    _finite(figures, step)
    tensors = trainer.state.gather()
    if run.writes:
        run.checkpoints.write(step, tensors, {})


def _finite(figures: Mapping[str, Tensor | float], step: int) -> dict[str, float]:
    """Figures as numbers.

    Raises:
        RuntimeError: one of them is not finite; nothing is saved after that.
    """
    values = {name: float(value) for name, value in figures.items()}
    for name, value in values.items():
        # Loss scaling begins with gradients that overflow, and passes over those steps.
        if not math.isfinite(value) and not name.endswith("gradient_norm"):
            raise RuntimeError(
                f"{name} is {value} at step {step}; the last checkpoint is kept: lower the "
                "learning rate or use bf16, and start again"
            )
    return values
