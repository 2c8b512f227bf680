"""Masked diffusion, the baseline: one extra token, the mask, which a position leaves for good.

x_t = x0 with probability alpha_t, else the mask (token K). A network predicts x0 at masked
positions over the K real tokens; its reverse kernel is unique, and its loss a weighted
cross-entropy (MDLM, arXiv 2406.07524).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.discrete.sampling import categorical, nucleus, times
from lmdm.diffusion.elementary import Time

MaskedNetwork = Callable[[Tensor, Time], Tensor]  # (tokens [B, L] in 0..K, t) -> logits [B, L, K]


def noised(x0: Tensor, t: Time, process: TokenProcess, generator: torch.Generator) -> Tensor:
    """x_t of clean tokens x0 [B, L]; masked positions hold the token K."""
    kept = torch.rand(x0.shape, generator=generator) < sites(process.alpha(t), x0)
    return x0.where(kept, torch.full_like(x0, process.vocabulary))


def loss(logits: Tensor, x0: Tensor, x_t: Tensor, t: Time, process: TokenProcess) -> Tensor:
    """NELBO integrand at t [B, L]: -alpha'/(1 - alpha) 1{masked} (-log D(x0))."""
    alpha, dalpha = sites(process.alpha(t), x0), sites(process.dalpha(t), x0)
    surprise = -torch.log_softmax(logits, -1).gather(-1, x0[..., None])[..., 0]
    return -dalpha / (1.0 - alpha) * (x_t == process.vocabulary).to(logits) * surprise


def step(
    d: Tensor, x: Tensor, t: float, s: float, process: TokenProcess, generator: torch.Generator
) -> Tensor:
    """Masked tokens become x0 ~ D [B, L, K] with probability (alpha_s - alpha_t)/(1 - alpha_t)."""
    alpha_t, alpha_s = process.alpha(t), process.alpha(s)
    jumps = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    jumps = jumps < (alpha_s - alpha_t) / (1.0 - alpha_t)
    return torch.where((x == process.vocabulary) & jumps, categorical(d, generator), x)


def sample(
    network: MaskedNetwork,
    process: TokenProcess,
    shape: tuple[int, ...],
    nfe: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Tensor:
    """Tokens of `shape` from all masks, in `nfe` evaluations."""
    x = torch.full(shape, process.vocabulary)
    for t, s in itertools.pairwise(times(nfe)):
        logits = nucleus(network(x, t).double() / temperature, top_p)
        x = step(torch.softmax(logits, -1), x, t, s, process, generator)
    return x
