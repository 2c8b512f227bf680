"""The absorbing lift of uniform diffusion: every position has a mask symbol u of its own.

u ~ uniform once; x_t = x0 with probability alpha_t, else u. Averaged over u this is the uniform
process. Given (x_t, u) a token with x_t != u is clean for certain and carried over; one with
x_t = u is "masked" (dossier C §6). Two samplers share one network, which sees x, u and {x = u}:

    AUDM     masked tokens jump to a draw of x0 or stay; u is fixed
    ReAUDM   x_s from the ordinary uniform bridge given a draw of x0, then u_s from its exact
             conditional: natural remasking, with the uniform model's joint law of (x0, x_s, x_t)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.discrete.bridge import plug_in
from lmdm.diffusion.discrete.losses import jump_loss
from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.diffusion.discrete.sampling import categorical, nucleus, times
from lmdm.diffusion.elementary import Time
from lmdm.errors import InputError


class LiftedState(NamedTuple):
    """Tokens x [B, L] and their private mask symbols u [B, L]."""

    x: Tensor
    u: Tensor

    @property
    def masked(self) -> Tensor:
        """Where x is its mask symbol [B, L]."""
        return self.x == self.u


LiftedNetwork = Callable[[LiftedState, Time], TokenPrediction]


def prior(process: TokenProcess, shape: tuple[int, ...], generator: torch.Generator) -> LiftedState:
    """The state at t = 1: u uniform and x = u.

    Raises:
        InputError: the process is not uniform; the lift is of the uniform one.
    """
    if process.stationary is not None:
        raise InputError(
            "the absorbing lift is of the uniform process; leave out the stationary law"
        )
    u = process.prior(shape, generator)
    return LiftedState(u, u)


def noised(x0: Tensor, t: Time, process: TokenProcess, generator: torch.Generator) -> LiftedState:
    """(x_t, u) of clean tokens x0 [B, L]; t a number or [B]."""
    u = prior(process, tuple(x0.shape), generator).u
    kept = torch.rand(x0.shape, generator=generator) < sites(process.alpha(t), x0)
    return LiftedState(torch.where(kept, x0, u), u)


def log_denoiser(
    prediction: TokenPrediction,
    state: LiftedState,
    t: Time,
    process: TokenProcess,
    carried: bool = True,
) -> Tensor:
    """log P(x0 = j | x_t, u) [B, L, K].

    At masked positions a leave-one-out prediction R gets its factor (1 - alpha) + alpha 1{j = u},
    that is, log(1/(1 - alpha)) at u. carried: clean tokens are one-hot, as they are for certain.
    """
    logits = prediction.logits
    if prediction.representation is Representation.LOO:
        alpha = sites(process.alpha(t), state.u)
        bonus = torch.log1p(alpha / (1.0 - alpha) * torch.ones_like(state.u, dtype=logits.dtype))
        logits = logits.scatter_add(-1, state.u[..., None], bonus[..., None])
    elif prediction.representation is Representation.SCORE:
        raise ValueError("the lift takes predictions of loo or denoiser, not scores")
    logs = torch.log_softmax(logits, -1)
    if not carried:
        return logs
    clean = F.one_hot(state.x, logits.shape[-1]).to(logs).log()
    return torch.where(state.masked[..., None], logs, clean)


def loss(
    prediction: TokenPrediction,
    x0: Tensor,
    state: LiftedState,
    t: Time,
    process: TokenProcess,
) -> Tensor:
    """NELBO integrand at t [B, L]: a jump process from the mask symbol; 0 where x is clean."""
    logs = log_denoiser(prediction, state, t, process, carried=False)
    return state.masked.to(logs) * jump_loss(logs, x0, state.u, t, process)


def absorbing_step(
    d: Tensor,
    state: LiftedState,
    t: float,
    s: float,
    process: TokenProcess,
    generator: torch.Generator,
) -> LiftedState:
    """AUDM: masked tokens become x0 ~ D [B, L, K] with probability (a_s - a_t)/(1 - a_t)."""
    alpha_t, alpha_s = process.alpha(t), process.alpha(s)
    jumps = torch.rand(state.x.shape, generator=generator, dtype=torch.float64)
    jumps = jumps < (alpha_s - alpha_t) / (1.0 - alpha_t)
    x0 = categorical(d, generator)
    return LiftedState(torch.where(state.masked & jumps, x0, state.x), state.u)


def remasking_step(
    d: Tensor,
    state: LiftedState,
    t: float,
    s: float,
    process: TokenProcess,
    generator: torch.Generator,
) -> LiftedState:
    """ReAUDM: x0 ~ D, x_s from the uniform bridge, u_s from its conditional given (x0, x_s).

    If x_s != x0 it is the mask symbol. If x_s = x0 it is so with probability 1/(1 + (K - 1)
    alpha_s), and else u is uniform over the other tokens.
    """
    count = process.vocabulary
    x0 = categorical(d, generator)
    x_s = categorical(plug_in(F.one_hot(x0, count).double(), state.x, t, s, process), generator)
    chance = torch.rand(x_s.shape, generator=generator, dtype=torch.float64)
    masked = (x_s != x0) | (chance < 1.0 / (1.0 + (count - 1) * process.alpha(s)))
    others = torch.randint(1, count, x_s.shape, generator=generator)
    return LiftedState(x_s, torch.where(masked, x_s, (x_s + others) % count))


def sample(
    network: LiftedNetwork,
    process: TokenProcess,
    state: LiftedState,
    nfe: int,
    generator: torch.Generator,
    remask: bool = True,
    temperature: float = 1.0,
    top_p: float = 1.0,
    hold: Callable[[LiftedState], LiftedState] | None = None,
) -> Tensor:
    """Tokens [B, L] from a state at t = 1, in `nfe` evaluations; remask: ReAUDM, else AUDM.

    temperature and top_p act on the network's own output, before carry-over. hold: applied to the
    state after every step, to keep given tokens as they are (x the token, u another: clean).
    """
    step = remasking_step if remask else absorbing_step
    for t, s in itertools.pairwise(times(nfe)):
        given = network(state, t)
        logits = nucleus(given.logits.double() / temperature, top_p)
        shaped = TokenPrediction(logits, given.representation)
        d = log_denoiser(shaped, state, t, process).exp()
        state = step(d, state, t, s, process, generator)
        if hold is not None:
            state = hold(state)
    return state.x
