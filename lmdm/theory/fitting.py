"""Training of a token model: interruptible, resumable, the same result from the same seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmdm.diffusion.discrete.losses import antithetic_times
from lmdm.errors import InputError
from lmdm.theory.models import TokenModel
from lmdm.weights import load_into, save_module, write_beside

CHECKPOINT_STEPS = 50


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast. ema: decay of the averaged weights that are kept."""

    steps: int = 2000
    batch: int = 128
    learning_rate: float = 2e-3
    ema: float = 0.995
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise InputError("fit: steps and batch must be 1 or more")
        if not 0.0 < self.learning_rate < 1.0 or not 0.0 <= self.ema < 1.0:
            raise InputError("fit: the learning rate must be in 0..1, and ema in 0..1")


class Fit:
    """One training run.

    The averaged weights are what `model` holds at the end. With a folder, the run's state is kept
    there, and a run that was interrupted goes on where it was.
    """

    def __init__(self, model: TokenModel, tokens: Tensor, config: FitConfig) -> None:
        """tokens [N, L]: the training sequences."""
        if tokens.ndim != 2 or len(tokens) < 1:
            raise InputError("fit: no training sequences; give a longer text, or more MIDI files")
        self.model, self.tokens, self.config = model, tokens, config
        self.network = model.network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network.apply(_reset)
        self.average = {n: p.detach().clone() for n, p in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), config.learning_rate)
        self.step = 0
        self.losses: list[float] = []

    def run(
        self, folder: Path | None = None, on_step: Callable[[int, float], None] | None = None
    ) -> None:
        """Trains to the end, from where the folder's state was."""
        if folder is not None:
            self.resume(folder)
        while self.step < self.config.steps:
            loss = self.train_step()
            if on_step is not None:
                on_step(self.step, loss)
            if folder is not None and self.step % CHECKPOINT_STEPS == 0:
                self.keep(folder)
        self.network.load_state_dict(self.average)
        self.network.eval()

    def train_step(self) -> float:
        """One step; its loss in nats a token."""
        config, self.step = self.config, self.step + 1
        numbers = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        rows = torch.randint(len(self.tokens), (config.batch,), generator=numbers)
        t = antithetic_times(config.batch, numbers)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * self._pace()
        loss = self.model.training_loss(self.tokens[rows], t, numbers).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        decay = min(config.ema, self.step / (self.step + 10.0))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1.0 - decay)
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def _pace(self) -> float:
        """Warm-up over 5 % of the steps, then a linear fall to a tenth."""
        part = self.step / self.config.steps
        return min(1.0, part / 0.05) * (1.0 - 0.9 * part)

    # -- state ----------------------------------------------------------------------------------

    def keep(self, folder: Path) -> None:
        """Writes weights, averages, optimiser moments and step; the last file makes them valid."""
        folder.mkdir(parents=True, exist_ok=True)
        save_module(_State(self), folder / f"state-{self.step}.safetensors", half=False)
        note = json.dumps({"step": self.step, "losses": self.losses, "fit": asdict(self.config)})
        write_beside(folder / "state.json", lambda part: part.write_text(note, encoding="utf-8"))
        for old in folder.glob("state-*.safetensors"):
            if old.name != f"state-{self.step}.safetensors":
                old.unlink()

    def resume(self, folder: Path) -> None:
        """Goes on from what `keep` wrote, if there is something.

        Raises:
            InputError: the state is of another run.
        """
        path = folder / "state.json"
        if not path.exists():
            return
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
            step, losses = int(note["step"]), [float(each) for each in note["losses"]]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is damaged; delete the folder to begin anew") from None
        if note.get("fit") != asdict(self.config):
            raise InputError(
                f"{folder} holds another run's state; choose another folder, or delete it"
            )
        self._make_moments()
        state = _State(self)
        load_into(state, folder / f"state-{step}.safetensors")
        state.give_back(self)
        self.step, self.losses = step, losses

    def _make_moments(self) -> None:
        """Makes the optimiser's moments exist, so that they can be loaded into."""
        for parameter in self.network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimiser.step()
        self.optimiser.zero_grad()


class _State(nn.Module):
    """Everything of a run as buffers, so that it is written and checked as weights are."""

    def __init__(self, fit: Fit) -> None:
        super().__init__()
        for index, (name, value) in enumerate(fit.network.state_dict().items()):
            self.register_buffer(f"weight_{index}", value.clone())
            self.register_buffer(f"average_{index}", fit.average[name].clone())
        for index, parameter in enumerate(fit.network.parameters()):
            for key, value in fit.optimiser.state[parameter].items():
                self.register_buffer(f"{key}_{index}", value.clone())

    def give_back(self, fit: Fit) -> None:
        """Puts the values back into the run."""
        held = dict(self.named_buffers())
        names = list(fit.network.state_dict())
        fit.network.load_state_dict({n: held[f"weight_{i}"] for i, n in enumerate(names)})
        fit.average = {name: held[f"average_{index}"] for index, name in enumerate(names)}
        for index, parameter in enumerate(fit.network.parameters()):
            for key in fit.optimiser.state[parameter]:
                fit.optimiser.state[parameter][key] = held[f"{key}_{index}"]


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
