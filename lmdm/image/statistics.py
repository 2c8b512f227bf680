"""Mean and variance of the latents, for patch and detail tokens apart, element by element.

The diffusion runs on x = [norm z; norm q], each element of zero mean and unit variance over the
training pictures (RAE's per-element statistics, epsilon 1e-5; DecQ §3.3).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lmdm.image.autoencoder import Latents, RepresentationAutoencoder

EPSILON = 1e-5


class LatentStatistics(nn.Module):
    """Mean and standard deviation of every element of z [N, D] and q [Q, D]."""

    def __init__(self, patches: int, queries: int, dim: int) -> None:
        super().__init__()
        self.patches = patches
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(patches + queries, dim))
        self.register_buffer("std", torch.ones(patches + queries, dim))

    @classmethod
    def empty(cls, autoencoder: RepresentationAutoencoder) -> LatentStatistics:
        """Of an autoencoder's shape, still to be filled."""
        return cls(autoencoder.grid**2, autoencoder.config.queries, autoencoder.token_dim)

    @classmethod
    def of(
        cls, batches: Iterable[Latents], patches: int, queries: int, dim: int
    ) -> LatentStatistics:
        """Over batches of latents, in float64 (Chan's parallel update)."""
        count = 0
        mean = torch.zeros(patches + queries, dim, dtype=torch.float64)
        squares = torch.zeros_like(mean)
        for latents in batches:
            x = joined(latents).double().cpu()
            delta = x.mean(0) - mean
            total = count + len(x)
            squares += ((x - x.mean(0)) ** 2).sum(0) + delta**2 * count * len(x) / total
            mean += delta * len(x) / total
            count = total
        statistics = cls(patches, queries, dim)
        statistics.mean.copy_(mean)
        statistics.std.copy_((squares / max(count, 1) + EPSILON).sqrt())
        return statistics

    def normalize(self, latents: Latents) -> Tensor:
        """[B, N + Q, D], of zero mean and unit variance."""
        return (joined(latents) - self.mean) / self.std

    def denormalize(self, x: Tensor) -> Latents:
        """Undoes `normalize`, and splits the groups."""
        tokens = x * self.std + self.mean
        z, q = tokens[:, : self.patches], tokens[:, self.patches :]
        return Latents(z, q if q.shape[1] else None)


def joined(latents: Latents) -> Tensor:
    """[z; q] along the tokens."""
    return latents.z if latents.q is None else torch.cat([latents.z, latents.q], dim=1)
