"""Ancestral sampling, temperature and top-p in the space that is asked for, informed correction.

All draws are Gumbel-max in float64: in float32 the tail of the noise is cut off, which acts like a
temperature below 1. Times are numbers, falling from 1 to 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.discrete.bridge import plug_in
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import (
    Representation,
    TokenNetwork,
    TokenPrediction,
    neighbour_law,
)
from lmdm.errors import InputError

SELECTIONS = ("margin", "maxprob", "current", "random")


@dataclass(frozen=True)
class Shaping:
    """Temperature and top-p, applied to the prediction in one space, before the bridge.

    Tempering the leave-one-out posterior leaves the analytic factors of the kernel alone. Tempering
    the denoiser tempers the observed token's bonus log(1 + kappa) too, which freezes tokens.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    space: Representation = Representation.LOO

    def __post_init__(self) -> None:
        if self.temperature <= 0.0:
            raise InputError(f"temperature is {self.temperature}; it must be above 0")
        if not 0.0 < self.top_p <= 1.0:
            raise InputError(f"top-p is {self.top_p}; it must be above 0, and at most 1")
        if self.space is Representation.SCORE:
            raise InputError("temperature acts on loo or denoiser, not on scores")

    def loo(
        self, prediction: TokenPrediction, x: Tensor, t: float, process: TokenProcess
    ) -> Tensor:
        """The shaped leave-one-out posterior [B, L, K], float64."""
        given = TokenPrediction(prediction.logits.double(), prediction.representation)
        if self.temperature != 1.0 or self.top_p != 1.0:
            logits = given.to(self.space, x, t, process).logits / self.temperature
            given = TokenPrediction(nucleus(logits, self.top_p), self.space)
        return given.to(Representation.LOO, x, t, process).probabilities()


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """logits [..., K] of the likeliest tokens that reach top_p together; -inf for the rest."""
    if top_p >= 1.0:
        return logits
    ordered, order = torch.softmax(logits, -1).sort(-1, descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p  # the likeliest always stays
    return logits.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), -torch.inf)


def gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise of like's shape, float64."""
    uniform = torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp_min(1e-300))).to(like.device)


def categorical(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """A token from each law [..., K] that need not sum to 1; int64 [...]."""
    return (probabilities.double().log() + gumbel(probabilities, generator)).argmax(-1)


@dataclass(frozen=True)
class Corrector:
    """Gibbs sweeps that resample the least certain tokens from P(x_t = . | the others).

    select: how positions are ranked, least certain first: "margin", log c of the current token over
    its best alternative; "current", log c of the current token; "maxprob", the largest log c;
    "random". k of them are drawn without replacement (Gumbel top-k at `temperature`), and the
    network is evaluated anew for every sweep. Random single sites leave p_s exactly invariant;
    informed choices and k > 1 do not.
    """

    sweeps: int = 2
    k: int = 12
    select: str = "margin"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.sweeps < 0 or self.k < 1:
            raise InputError("a corrector needs 0 or more sweeps of 1 or more positions")
        if self.select not in SELECTIONS:
            raise InputError(f"unknown selection {self.select!r}; known: {', '.join(SELECTIONS)}")

    def sweep(
        self, x: Tensor, s: float, loo: Tensor, process: TokenProcess, generator: torch.Generator
    ) -> Tensor:
        """Tokens x [B, L] after one sweep at time s, from R [B, L, K] at (x, s)."""
        law = neighbour_law(loo, process.alpha(s), process)
        certainty = self._certainty(law.log(), x)
        ranks = -certainty / self.temperature + gumbel(certainty, generator)
        chosen = ranks.topk(min(self.k, x.shape[1]), dim=1).indices
        return x.scatter(1, chosen, categorical(law, generator).gather(1, chosen))

    def _certainty(self, log_law: Tensor, x: Tensor) -> Tensor:
        current = log_law.gather(-1, x[..., None])[..., 0]
        if self.select == "random":
            return torch.zeros_like(current)
        if self.select == "current":
            return current
        if self.select == "maxprob":
            return log_law.max(-1).values
        return current - log_law.scatter(-1, x[..., None], -torch.inf).max(-1).values


def plan(nfe: int, sweeps: int) -> tuple[int, int]:
    """(predictor steps, how many of the first of them are corrected) for exactly nfe evaluations.

    corrected = (nfe - 1) // (1 + sweeps); a step that ends at s = 0 is never corrected.
    """
    if nfe < 1:
        raise InputError(f"{nfe} network evaluations; 1 or more are needed")
    corrected = (nfe - 1) // (1 + sweeps) if sweeps > 0 else 0
    return nfe - sweeps * corrected, corrected


def ancestral_step(
    loo: Tensor,
    x: Tensor,
    t: float,
    s: float,
    process: TokenProcess,
    generator: torch.Generator,
) -> Tensor:
    """x_s of every position at once, from the bridge with R [B, L, K] plugged in."""
    return categorical(plug_in(loo, x, t, s, process), generator)


def times(steps: int) -> list[float]:
    """steps + 1 even times from 1 to 0."""
    return [1.0 - step / steps for step in range(steps)] + [0.0]


def sample(
    network: TokenNetwork,
    process: TokenProcess,
    x: Tensor,
    nfe: int,
    generator: torch.Generator,
    shaping: Shaping | None = None,
    corrector: Corrector | None = None,
    on_step: Callable[[float, Tensor], None] | None = None,
) -> Tensor:
    """From noise x [B, L] at t = 1 to tokens, in exactly `nfe` network evaluations.

    Without a corrector all of them are ancestral steps; with one, the noisiest steps are each
    followed by its sweeps (`plan`).
    """
    shaping = shaping or Shaping()
    sweeps = corrector.sweeps if corrector is not None else 0
    steps, corrected = plan(nfe, sweeps)
    for index, (t, s) in enumerate(itertools.pairwise(times(steps))):
        loo = shaping.loo(network(x, t), x, t, process)
        x = ancestral_step(loo, x, t, s, process, generator)
        if corrector is not None and index < corrected:
            for _ in range(sweeps):
                loo = shaping.loo(network(x, s), x, s, process)
                x = corrector.sweep(x, s, loo, process, generator)
        if on_step is not None:
            on_step(s, x)
    return x
