"""What PIU minimises: conditions to forget, the teacher's target, the two losses (§3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Sampling = Literal["dirichlet", "individual", "centroid"]
SAMPLINGS: tuple[Sampling, ...] = ("dirichlet", "individual", "centroid")
MIXED = 3  # embeddings in a Dirichlet mixture, at most


def forget_conditions(
    embeddings: Tensor, count: int, sampling: Sampling, generator: torch.Generator
) -> Tensor:
    """`count` conditions [count, D] of unit length from the target's embeddings [n, D].

    dirichlet: mixtures of up to three with Dirichlet(1, 1, 1) weights, which cover the identity's
    region rather than its few samples. individual: one each. centroid: the mean, for all.
    """
    if sampling == "centroid":
        return nn.functional.normalize(embeddings.mean(dim=0), dim=0).expand(count, -1)
    if sampling == "individual":
        return embeddings[torch.randint(len(embeddings), (count,), generator=generator)]
    mixed = min(MIXED, len(embeddings))
    order = torch.rand(count, len(embeddings), generator=generator).argsort(dim=1)[:, :mixed]
    # Dirichlet(1, ..., 1): exponential variables over their sum
    shares = -torch.log1p(-torch.rand(count, mixed, generator=generator, dtype=torch.float64))
    shares = (shares / shares.sum(dim=1, keepdim=True)).to(embeddings)
    return nn.functional.normalize((shares[:, :, None] * embeddings[order]).sum(dim=1), dim=1)


def forget_target(anchor: Tensor, forget: Tensor, eta: float) -> Tensor:
    """ε̂ = ε*(c_a) − η [ε*(c_f) − ε*(c_a)], of the teacher's two predictions at one (z, t)."""
    return anchor - eta * (forget - anchor)


def piu_loss(
    student_forget: Tensor,
    target: Tensor,
    student_retain: Tensor,
    teacher_retain: Tensor,
    lam: float,
) -> Tensor:
    """L = L_f + λ L_p, mean squared errors in float32."""
    forget = nn.functional.mse_loss(student_forget.float(), target.float())
    preserve = nn.functional.mse_loss(student_retain.float(), teacher_retain.float())
    return forget + lam * preserve
