"""The bar generator at work: bars without end, each given the one before.

A model of the absorbing lift can go on from music that is there: tokens with x != u are clean for
certain, so a given bar is put in as clean tokens and stays as it is while the next one is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from lmdm.diffusion.discrete import absorbing
from lmdm.diffusion.discrete.absorbing import LiftedState
from lmdm.errors import InputError
from lmdm.theory.bars import BAR
from lmdm.theory.models import TokenModel, load

BUNDLED = Path(__file__).parent / "bar_generator"


def bundled() -> TokenModel:
    """The bar generator that comes with the program.

    Raises:
        InputError: its files are missing or damaged.
    """
    return load(BUNDLED)


@torch.no_grad()
def continuation(
    model: TokenModel,
    past: Tensor | None,
    nfe: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    remask: bool = True,
) -> Tensor:
    """The model's window [L] of which the first tokens are `past` [< L] (None: nothing is given).

    Raises:
        InputError: the model is not of the lift, or the past fills its window.
    """
    config = model.config.network
    if config.process != "lift":
        raise InputError("music is continued by a model of the lift; this one is not")
    given = 0 if past is None else len(past)
    if given >= config.length:
        raise InputError(f"a past of {given} tokens fills the model's window of {config.length}")
    start = absorbing.prior(model.process, (1, config.length), generator)

    def held(state: LiftedState) -> LiftedState:
        """The state with the past put in, clean: x is it, and u is another token."""
        if past is None:
            return state
        x, u = state.x.clone(), state.u.clone()
        x[:, :given] = past
        u[:, :given] = (past + 1) % config.vocabulary
        return LiftedState(x, u)

    return absorbing.sample(
        model.lifted, model.process, held(start), nfe, generator, remask, temperature, top_p, held
    )[0]


def endless_bars(
    model: TokenModel,
    nfe: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    remask: bool = True,
) -> Iterator[Tensor]:
    """Bars [BAR], each given as many bars before it as the model's window has room for."""
    window = model.config.network.length // BAR
    past: list[Tensor] = []
    while True:
        recent = past[-(window - 1) :] if window > 1 else []
        given = torch.cat(recent) if recent else None
        tokens = continuation(model, given, nfe, generator, temperature, top_p, remask)
        bar = tokens[len(recent) * BAR :][:BAR]
        past = [*recent, bar]
        yield bar
