"""Training of a token model: the same result from the same seed, however often it was stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmdm.config import begin
from lmdm.diffusion.discrete.losses import antithetic_times
from lmdm.errors import InputError
from lmdm.fitting import fit_network, generator_at
from lmdm.theory.models import TokenModel


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

    def rate(self, step: int) -> float:
        """The learning rate: a rise over 5 % of the steps, and a linear fall to a tenth."""
        part = (step + 1) / self.steps
        return self.learning_rate * min(1.0, part / 0.05) * (1.0 - 0.9 * part)


def fit(
    model: TokenModel, tokens: Tensor, config: FitConfig, folder: Path, quiet: bool = False
) -> list[float]:
    """Trains a model's network anew, or goes on with what the folder holds.

    tokens [N, L]: the training sequences. At the end the model holds the averaged weights. Returns
    the losses in nats a token of the steps that this call made.

    Raises:
        InputError: no sequences, or the folder holds another run's state.
    """
    if tokens.ndim != 2 or len(tokens) < 1:
        raise InputError("fit: no training sequences; give a longer text, or more MIDI files")
    begin(folder / "plan.json", asdict(config))
    network, losses = model.network, list[float]()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network.apply(_reset)

    def loss_of(step: int) -> Tensor:
        numbers = generator_at(config.seed, step + 1)
        rows = torch.randint(len(tokens), (config.batch,), generator=numbers)
        t = antithetic_times(config.batch, numbers)
        return model.training_loss(tokens[rows], t, numbers).mean()

    fit_network(
        network,
        torch.optim.AdamW(network.parameters()),
        loss_of,
        folder / "state.safetensors",
        config.steps,
        average=config.ema,
        clip=1.0,
        rate=config.rate,
        after=lambda _, figures: losses.append(figures["loss"]),
        quiet=quiet,
    )
    return losses


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
