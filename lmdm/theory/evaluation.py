"""Figures of a token model: its bound, what its output means, and how its samples look."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lmdm.diffusion.discrete.losses import nelbo
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.theory.models import TokenModel

FIRST_TIME = 1e-3  # below it the reconstruction term is left out: bounds can dip ~0.01 too low


def times(count: int) -> Tensor:
    """Mid-points of even strata of FIRST_TIME..1 [count]."""
    part = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (FIRST_TIME + (1 - FIRST_TIME) * part).float()


def bound(model: TokenModel, tokens: Tensor, passes: int = 4, seed: int = 0) -> float:
    """The NELBO of sequences [N, L], nats a token."""
    return _integral(model.bound, tokens, passes, seed)


def unconverted_bound(model: TokenModel, tokens: Tensor, passes: int = 4, seed: int = 0) -> float:
    """The NELBO when a denoiser is plugged into the bridge as it is, counting v twice."""

    def integrand(tokens: Tensor, t: Tensor, numbers: torch.Generator) -> Tensor:
        x_t = model.process.noised(tokens, t, numbers)
        raw = TokenPrediction(model(x_t, t).logits, Representation.LOO)
        return nelbo(raw, tokens, x_t, t, model.process)

    return _integral(integrand, tokens, passes, seed)


@torch.no_grad()
def _integral(
    integrand: Callable[[Tensor, Tensor, torch.Generator], Tensor],
    tokens: Tensor,
    passes: int,
    seed: int,
) -> float:
    """The mean of integrand(tokens, t, generator) [N, L] over t, each pass with times in strata."""
    numbers = torch.Generator().manual_seed(seed)
    total = 0.0
    for _ in range(passes):
        t = times(len(tokens))[torch.randperm(len(tokens), generator=numbers)]
        total += float(integrand(tokens, t, numbers).mean())
    return total / passes


@torch.no_grad()
def loo_sensitivity(model: TokenModel, tokens: Tensor, trials: int = 4, seed: int = 0) -> float:
    """Mean TV change of R at a position when only its own noisy token is replaced; 0 for a true R.

    [R] 5 positions and 10 trials a step; here `trials` positions of every sequence, at random t.
    """
    numbers = torch.Generator().manual_seed(seed)
    total = 0.0
    rows = torch.arange(len(tokens))
    for _ in range(trials):
        t = times(len(tokens))[torch.randperm(len(tokens), generator=numbers)]
        x = model.process.noised(tokens, t, numbers)
        place = torch.randint(x.shape[1], (len(x),), generator=numbers)
        shift = torch.randint(1, model.process.vocabulary, (len(x),), generator=numbers)
        other = x.clone()
        other[rows, place] = (x[rows, place] + shift) % model.process.vocabulary
        laws = [
            model(each, t)
            .to(Representation.LOO, each, t, model.process)
            .probabilities()[rows, place]
            for each in (x, other)
        ]
        total += float(0.5 * (laws[0] - laws[1]).abs().sum(-1).mean())
    return total / trials


def unigram_entropy(tokens: Tensor, vocabulary: int) -> float:
    """Entropy in nats of the tokens of sequences [N, L], all places together."""
    law = torch.bincount(tokens.flatten(), minlength=vocabulary).double()
    law = law / law.sum()
    return float(-(law * law.clamp_min(1e-300).log()).sum())


def ngram_distance(one: Tensor, other: Tensor, vocabulary: int, n: int = 2) -> float:
    """Total variation between the n-grams of two sets of sequences [N, L]."""
    laws = []
    for tokens in (one, other):
        code = tokens[:, : tokens.shape[1] - n + 1]
        for offset in range(1, n):
            code = code * vocabulary + tokens[:, offset : tokens.shape[1] - n + 1 + offset]
        found = torch.bincount(code.flatten(), minlength=vocabulary**n).double()
        laws.append(found / found.sum())
    return 0.5 * float((laws[0] - laws[1]).abs().sum())
