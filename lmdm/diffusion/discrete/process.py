"""The forward process on tokens: each is kept, or replaced by a draw from a stationary law.

q(x_t = j | x0) = alpha_t 1{j = x0} + (1 - alpha_t) pi_j at every position on its own, with
alpha_t = 1 - (1 - epsilon) t. pi is uniform over the K tokens unless another is given. From s to
t > s the form is the same with r = alpha_t/alpha_s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time
from lmdm.errors import InputError


@dataclass(frozen=True)
class TokenProcess:
    """K tokens, noised towards the stationary law.

    stationary: [K] probabilities, or None for uniform. epsilon: what alpha keeps at t = 1.
    """

    vocabulary: int
    epsilon: float = 1e-3
    stationary: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.vocabulary < 2:
            raise InputError(f"a vocabulary of {self.vocabulary} tokens; 2 or more are needed")
        if not 0.0 <= self.epsilon < 1.0:
            raise InputError(f"epsilon is {self.epsilon}; it must be 0 or more, and below 1")
        law = self.stationary
        if law is not None and (
            len(law) != self.vocabulary or min(law) <= 0.0 or abs(sum(law) - 1.0) > 1e-9
        ):
            raise InputError(
                "the stationary law must give every token a probability; they sum to 1"
            )

    def alpha(self, t: Time) -> Time:
        """Probability of being kept, from 1 at t = 0 to epsilon at t = 1."""
        return 1.0 - (1.0 - self.epsilon) * t

    def dalpha(self, t: Time) -> Time:
        """Its derivative by t."""
        return 0.0 * t - (1.0 - self.epsilon)

    def law(self, like: Tensor) -> Tensor:
        """pi [K], of like's precision and device."""
        if self.stationary is None:
            return like.new_full((self.vocabulary,), 1.0 / self.vocabulary)
        return torch.tensor(self.stationary, dtype=like.dtype, device=like.device)

    def kappa(self, v: Tensor, alpha: Time, like: Tensor) -> Tensor:
        """How much likelier an observed token v makes itself: alpha/((1 - alpha) pi_v).

        K alpha/(1 - alpha) for the uniform law. alpha broadcasts against v.
        """
        return alpha / ((1.0 - alpha) * self.law(like)[v])

    def prior(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Independent draws from the stationary law: tokens of `shape`, int64."""
        law = self.law(torch.empty(0, dtype=torch.float64))
        count = int(torch.tensor(shape).prod())
        return torch.multinomial(law, count, replacement=True, generator=generator).view(shape)

    def noised(self, x0: Tensor, t: Time, generator: torch.Generator) -> Tensor:
        """x_t of tokens x0 [B, L]; t a number or [B]."""
        kept = torch.rand(x0.shape, generator=generator) < sites(self.alpha(t), x0)
        return torch.where(kept, x0, self.prior(tuple(x0.shape), generator))


def sites(value: Time, x: Tensor) -> Time:
    """A number, or a tensor [B] as [B, 1, ...] so that it broadcasts against tokens x [B, L]."""
    if isinstance(value, Tensor) and value.ndim == 1:
        return value.view(-1, *[1] * (x.ndim - 1))
    return value
