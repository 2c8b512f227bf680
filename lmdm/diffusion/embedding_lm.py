"""An embedding-space diffusion language model ("A Tutorial on Diffusion Theory", §9).

Tokens are points of a frozen embedding E [K, D]; continuous diffusion runs over those of the
response, while the prompt stays clean. The network predicts x0; a rounding term keeps its
predictions readable; a rollout ends with the nearest token by E x0.

    alpha-bar_t = 1 - sqrt(t)            the schedule `SquareRoot`
    loss = a ‖x0_hat - x0‖² + b CE(E x0_hat, w)
    x_1 ~ N(0, lambda_E² I),             lambda_E the RMS of E
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time, exp, log, quotient, sqrt
from lmdm.diffusion.path import interpolate
from lmdm.diffusion.prediction import Kind, Prediction
from lmdm.diffusion.sampling import gaussian, sample
from lmdm.diffusion.schedule import Schedule
from lmdm.diffusion.solvers import DDIM


@dataclass(frozen=True)
class SquareRoot(Schedule):
    """alpha^2 = 1 - sqrt(t), sigma^2 = scale^2 sqrt(t): noise comes early (Diffusion-LM's).

    scale: standard deviation of the noise, lambda_E for an embedding. The path leaves the data like
    t^(1/4), so sigma' is infinite at t = 0, and alpha' at t = 1.
    """

    scale: float = 1.0

    @property
    def prior_std(self) -> float:
        """The noise's own."""
        return self.scale

    def alpha(self, t: Time) -> Time:
        """sqrt(1 - sqrt t)."""
        return sqrt(1 - sqrt(t))

    def sigma(self, t: Time) -> Time:
        """scale t^(1/4)."""
        return self.scale * sqrt(sqrt(t))

    def dalpha(self, t: Time) -> Time:
        """-1/(4 sqrt(t) alpha)."""
        return quotient(-0.25, sqrt(t) * self.alpha(t))

    def dsigma(self, t: Time) -> Time:
        """sigma/(4 t)."""
        return quotient(0.25 * self.sigma(t), t)

    def lambda_(self, t: Time) -> Time:
        """log((1 - sqrt t)/(scale^2 sqrt t))/2."""
        root = sqrt(t)
        return 0.5 * log(quotient(1 - root, self.scale**2 * root))

    def t_of_lambda(self, lambda_: Time) -> Time:
        """(1 + scale^2 e^{2 lambda})^-2."""
        return quotient(1.0, 1 + self.scale**2 * exp(2 * lambda_)) ** 2


@dataclass(frozen=True)
class EmbeddingLM:
    """A frozen embedding [K, D] and a network(x [B, L, D], t [B]) that predicts x0 [B, L, D].

    given [B, L] marks the prompt: its positions are clean in the input and have no loss.
    """

    network: Callable[[Tensor, Tensor], Tensor]
    embedding: Tensor

    @property
    def schedule(self) -> SquareRoot:
        """The square-root schedule with noise of the embedding's RMS."""
        return SquareRoot(float(self.embedding.square().mean().sqrt()))

    def logits(self, x0: Tensor) -> Tensor:
        """E x0 [B, L, K]."""
        return x0 @ self.embedding.T

    def loss(
        self,
        tokens: Tensor,
        given: Tensor,
        t: Tensor,
        generator: torch.Generator,
        rounding: float = 0.1,
    ) -> Tensor:
        """Mean over response tokens of ‖x0_hat - x0‖²/D + rounding CE. tokens [B, L], t [B]."""
        x0 = self.embedding[tokens]
        x = interpolate(x0, gaussian(x0, generator), t, self.schedule)
        guess = self.network(torch.where(given[..., None], x0, x), t)
        error = (guess - x0).square().mean(-1)
        surprise = -torch.log_softmax(self.logits(guess), -1).gather(-1, tokens[..., None])[..., 0]
        each = error + rounding * surprise
        return (each * ~given).sum() / (~given).sum()

    def rollout(
        self,
        prompt: Tensor,
        given: Tensor,
        grid: Sequence[float] | Tensor,
        generator: torch.Generator,
        eta: float = 0.0,
    ) -> Tensor:
        """Tokens [B, L]: the prompt where given, the rest by DDIM(eta) over a falling grid."""
        clean = self.embedding[prompt]
        keep = given[..., None]

        def denoiser(x: Tensor, t: Time) -> Prediction:
            moment = torch.as_tensor(t, dtype=x.dtype, device=x.device).expand(len(x))
            guess = self.network(torch.where(keep, clean, x), moment)
            return Prediction(torch.where(keep, clean, guess), Kind.X0)

        x = self.schedule.prior_std * gaussian(clean, generator)
        x0 = sample(denoiser, self.schedule, grid, DDIM(eta), x, generator)
        return torch.where(given, prompt, self.logits(x0).argmax(-1))
