"""Guidance: denoisers that lean towards a condition or a class.

Every conversion between kinds is affine with one and the same pair of numbers at (x, t), and
guidance is an affine mixture with weights that sum to 1, so it may act on any kind as long as both
predictions are of that one kind. It may not mix kinds, which is why `ClassifierFree` converts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time, rows
from lmdm.diffusion.prediction import Denoiser, Kind, Prediction
from lmdm.diffusion.schedule import Schedule


def guided(
    conditional: Tensor,
    null: Tensor | None,
    guidance: float,
    along: Tensor | None = None,
    parallel: float = 1.0,
) -> Tensor:
    """Classifier-free guidance: null + guidance (conditional - null); 1 is the condition alone.

    along: the conditional data prediction, [B, ...] as the others. Of what a guidance above 1 adds,
    only the share `parallel` of its part along it is then added (`projected`).
    """
    if null is None:
        return conditional
    if along is None or parallel == 1.0 or guidance <= 1.0:
        return torch.lerp(null, conditional, guidance)
    return conditional + (guidance - 1.0) * projected(conditional - null, along, parallel)


def projected(delta: Tensor, along: Tensor, parallel: float) -> Tensor:
    """`parallel` of a delta's part along a prediction, and all of what is orthogonal to it.

    Adaptive projected guidance (APG, arXiv 2410.02416 eq. 6-7): the part along the prediction makes
    it larger (louder, more saturated), the rest makes it more of what was asked. Each example
    [B, ...] is one vector. Kinds of prediction differ in scale only, so the delta may be of one
    kind and the prediction of another.
    """
    d, a = delta.flatten(1).double(), along.flatten(1).double()
    share = (d * a).sum(1, keepdim=True) / a.square().sum(1, keepdim=True).clamp_min(1e-12)
    inside = share * a
    return (d - inside + parallel * inside).view_as(delta).to(delta)


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance (arXiv 2207.12598) of two denoisers, or of two calls of one.

    Its predictions keep the null one beside them: with a "++" solver (`DDIMPlusPlus`) this is CFG++
    (arXiv 2406.08070), where a guidance between 0 and 1 steps towards the guided data while the
    noise stays the null condition's.
    """

    conditional: Denoiser
    null: Denoiser
    guidance: float
    schedule: Schedule

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The guided prediction, of the conditional one's kind."""
        one = self.conditional(x, t)
        other = self.null(x, t).to(one.kind, x, t, self.schedule).value
        return replace(one, value=guided(one.value, other, self.guidance), null=other)


@dataclass(frozen=True)
class ClassifierGuidance:
    """score + gamma grad_x log p(class | x, t), with the gradient of a given classifier.

    log_probability(x, t): [B] log probabilities of the wanted class, differentiable in x.
    """

    denoiser: Denoiser
    log_probability: Callable[[Tensor, Time], Tensor]
    gamma: float
    schedule: Schedule

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The guided prediction, of kind eps: eps - gamma sigma grad log p."""
        eps = self.denoiser(x, t).eps(x, t, self.schedule)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self.log_probability(leaf, t).sum(), leaf)
        return Prediction(eps - self.gamma * rows(self.schedule.sigma(t), x) * slope, Kind.EPS)
