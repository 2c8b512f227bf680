"""Training runs of minutes that can be stopped at any step and go on exactly where they were.

Everything random in a step follows from the step's number, so networks, optimisers and that number
are the whole state of a run: one safetensors file, written beside and renamed. `fit` is the loop;
`fit_network` its common case of one network, one optimiser and an average of the weights.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lmdm.errors import InputError
from lmdm.weights import write_beside

if TYPE_CHECKING:
    from torch.amp.grad_scaler import GradScaler

Figures = dict[str, float]


class TrainingState:
    """Networks and optimisers of a run, by name, and the file they are kept in.

    scaler: of the gradients in float16, if there is one; its state goes into the file's header.
    """

    def __init__(
        self,
        path: Path,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        scaler: GradScaler | None = None,
    ) -> None:
        self.path = path
        self.networks, self.optimizers, self.scaler = networks, optimizers, scaler

    def save(self, step: int) -> None:
        """Writes everything, after so many steps."""
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
        scaler = self.scaler.state_dict() if self.scaler is not None else {}
        about = {"step": json.dumps(step), "scaler": json.dumps(scaler)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(self.path, lambda part: save_file(held, part, about))

    def restore(self) -> int:
        """Loads what `save` wrote: the step to go on from, 0 where there is nothing.

        Raises:
            InputError: the file is damaged or of other networks.
        """
        if not self.path.exists():
            return 0
        try:
            with safe_open(self.path, "pt") as header:
                about = header.metadata()
            step, scaler = json.loads(about["step"]), json.loads(about["scaler"])
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
                f"{self.path} cannot be gone on from ({first}); remove it to begin again"
            ) from None
        if scaler and self.scaler is not None:
            self.scaler.load_state_dict(scaler)
        return int(step)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fit(
    state: TrainingState,
    steps: int,
    step_of: Callable[[int], Figures],
    *,
    rate: Callable[[int], float] | None = None,
    after: Callable[[int, Figures], None] | None = None,
    seconds: float = math.inf,
    keep_every: int = 200,
    keeps: bool = True,
    title: str = "training",
    quiet: bool = False,
) -> bool:
    """Goes on from `state` to `steps`; whether it came that far before `seconds` were over.

    step_of(step): one optimiser step, all of its randomness drawn from the step's number; its
    figures are shown. rate(step): the learning rate of every optimiser; None leaves it alone.
    after(steps done, figures): after each step, for logs. The state is kept every `keep_every`
    steps, when the time is over, at the end, and at Ctrl-C, unless that comes between two optimiser
    steps of one: half a step cannot be gone on from.
    keeps: False in processes beside the main one.

    Raises:
        InputError: the state cannot be gone on from, or has more steps; or a figure is not finite,
            and then that step is not kept.
    """
    began, step = time.monotonic(), state.restore()
    if step > steps:
        raise InputError(f"{state.path} has {step} steps, more than {steps}; ask for more")
    kept = step

    def keep() -> None:
        nonlocal kept
        if keeps and step != kept:
            state.save(step)
            kept = step

    exact = True  # whether the networks are what `step` steps made: not once an optimiser moves

    def moves(*_: Any) -> None:
        nonlocal exact
        exact = False

    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(total=steps, initial=step, desc=title, disable=quiet, mininterval=1, unit="step")
        )
        for optimizer in state.optimizers.values():
            stack.callback(optimizer.register_step_pre_hook(moves).remove)
        try:
            while step < steps:
                if rate is not None:
                    for optimizer in state.optimizers.values():
                        for group in optimizer.param_groups:
                            group["lr"] = rate(step)
                figures = step_of(step)
                for name, value in figures.items():
                    if not math.isfinite(value):
                        raise InputError(
                            f"{title}: {name} is {value} at step {step}; lower the rate"
                        )
                step, exact = step + 1, True
                bar.update()
                if step % 20 == 0 or step == steps:
                    bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()})
                if after is not None:
                    after(step, figures)
                if step % keep_every == 0:
                    keep()
                if time.monotonic() - began > seconds:
                    break
        except KeyboardInterrupt:
            if exact:
                keep()
            raise
    keep()
    return step >= steps


def fit_network(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[int], Tensor],
    path: Path,
    steps: int,
    *,
    average: float = 0.0,
    clip: float = 0.0,
    **how: Any,
) -> bool:
    """`fit` of one network by one loss; `how` is passed on to it.

    loss_of(step): the scalar to go down. average: decay of the averaged weights, which the network
    holds when the last step is done; 0 averages nothing. clip: of the gradient's norm; 0 does not.
    """
    slow = copy.deepcopy(network).requires_grad_(False) if average else None
    networks = {"network": network} | ({"average": slow} if slow is not None else {})

    def step_of(step: int) -> Figures:
        loss = loss_of(step)
        if not torch.isfinite(loss):  # before it spoils the weights
            return {"loss": float(loss.detach())}
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        if slow is not None:
            update_average(slow, network, step, average)
        return {"loss": float(loss.detach())}

    network.train()
    done = fit(TrainingState(path, networks, {"network": optimizer}), steps, step_of, **how)
    network.eval()
    if done and slow is not None:
        network.load_state_dict(slow.state_dict())
    return done


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights; short memory while the run is young."""
    keep = min(decay, (step + 1) / (step + 10))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast.to(slow), 1 - keep)


def generator_at(seed: int, step: int) -> torch.Generator:
    """The source of everything random in one step."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def cosine_rate(
    step: int, steps: int, peak: float, *, warm_up: int = 0, final: float = 0.0
) -> float:
    """The learning rate of a step: a rise over `warm_up` steps, and a cosine to `final` x peak."""
    warm = min(1.0, (step + 1) / max(warm_up, 1))
    done = min(1.0, step / steps)
    return peak * warm * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))
