"""What a network says of a clean token, and how each representation becomes the others.

At a position with the observed token v = x_t, for tokens j:

    loo        R_j = P(x0 = j | all the *other* noisy tokens), which does not depend on v
    denoiser   D_j = P(x0 = j | all noisy tokens) ∝ R_j (1 + kappa 1{j = v})
    score      p_t(x with j there)/p_t(x) = c_j/c_v,  c_j = alpha R_j + (1 - alpha) pi_j

The representation is data (`TokenPrediction.representation`), so that it is converted exactly once.
The bridge wants R (`bridge.plug_in`); a network trained through it learns R, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.elementary import Time, finite, log, quotient
from lmdm.diffusion.prediction import SingularTimeError


class Representation(StrEnum):
    """See the table above."""

    LOO = "loo"
    DENOISER = "denoiser"
    SCORE = "score"


@dataclass(frozen=True)
class TokenPrediction:
    """logits [..., K] and what they mean. For loo and denoiser they need not be normalised; a score
    is the logarithm of its ratios, 0 at the observed token.
    """

    logits: Tensor
    representation: Representation

    def to(
        self, representation: Representation | str, v: Tensor, t: Time, process: TokenProcess
    ) -> TokenPrediction:
        """The same prediction represented otherwise, normalised, given the noisy tokens v [...].

        Raises:
            SingularTimeError: at t = 0, where the observed token is the clean one for certain; or
                from a score where alpha = 0.
        """
        representation = Representation(representation)
        if representation is self.representation:
            if representation is Representation.SCORE:
                return self
            return TokenPrediction(torch.log_softmax(self.logits, -1), representation)
        alpha = sites(process.alpha(t), v)
        if not finite(log(1.0 - alpha)):
            raise SingularTimeError(
                "at t = 0 the observed token is the clean one; there is nothing to convert"
            )
        if self.representation is Representation.SCORE and not finite(quotient(1.0, alpha)):
            raise SingularTimeError("where alpha = 0 the score says nothing of the clean token")
        loo = _to_loo(self, v, alpha, process)
        if representation is Representation.LOO:
            return TokenPrediction(loo, representation)
        if representation is Representation.DENOISER:
            bonus = torch.log1p(process.kappa(v, alpha, loo))
            return TokenPrediction(torch.log_softmax(_added(loo, v, bonus), -1), representation)
        logs = neighbour_law(loo.exp(), alpha, process).log()
        observed = logs.gather(-1, v[..., None])
        return TokenPrediction(logs - observed, representation)

    def probabilities(self) -> Tensor:
        """[..., K], summing to 1; not for scores."""
        assert self.representation is not Representation.SCORE
        return torch.softmax(self.logits, -1)


TokenNetwork = Callable[[Tensor, Time], TokenPrediction]  # (noisy tokens [B, L], t) -> [B, L, K]


def neighbour_law(loo: Tensor, alpha: Time, process: TokenProcess) -> Tensor:
    """c_j = alpha R_j + (1 - alpha) pi_j = P(x_t = j | the other noisy tokens), from R [..., K].

    alpha is a number or has one dimension less than loo.
    """
    kept = alpha[..., None] if isinstance(alpha, Tensor) and alpha.ndim else alpha
    return kept * loo + (1.0 - kept) * process.law(loo)


def _to_loo(given: TokenPrediction, v: Tensor, alpha: Time, process: TokenProcess) -> Tensor:
    """Log probabilities of the leave-one-out posterior."""
    if given.representation is Representation.DENOISER:
        bonus = torch.log1p(process.kappa(v, alpha, given.logits))
        return torch.log_softmax(_added(given.logits, v, -bonus), -1)
    if given.representation is Representation.SCORE:
        c = torch.softmax(given.logits, -1)
        kept = alpha[..., None] if isinstance(alpha, Tensor) and alpha.ndim else alpha
        loo = ((c - (1.0 - kept) * process.law(c)) / kept).clamp_min(0.0)
        return (loo / loo.sum(-1, keepdim=True)).log()
    return torch.log_softmax(given.logits, -1)


def _added(logits: Tensor, v: Tensor, amount: Tensor) -> Tensor:
    """logits with `amount` added at the observed token."""
    return logits.scatter_add(-1, v[..., None], amount.expand_as(v)[..., None].to(logits))
