"""A world whose ideal denoiser is a formula: constant scenes with slow motion (dossier §6).

A window is one of M scene vectors in R^D, the same in all frames, plus an Ornstein-Uhlenbeck motion
of standard deviation `sigma` and correlation length `length` frames. E[x0 | x_t] is that of a
mixture of Gaussians, so samplers can be compared without training anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lmdm.video.flowlong.geometry import WindowGeometry


@dataclass(frozen=True)
class SceneWorld:
    """Scenes [M, D], entries of standard deviation `spread`, from `seed`; windows [D, F]."""

    scenes: int = 8
    dim: int = 8
    sigma: float = 0.5
    length: float = 3.0
    spread: float = 2.0
    seed: int = 3

    @cached_property
    def means(self) -> Tensor:
        """Scene vectors [M, D], float64."""
        generator = torch.Generator().manual_seed(self.seed)
        shape = (self.scenes, self.dim)
        return self.spread * torch.randn(shape, generator=generator, dtype=torch.float64)

    def covariance(self, frames: int) -> Tensor:
        """sigma^2 exp(-|i - j| / length): of every channel's motion over frames [F, F]."""
        index = torch.arange(frames, dtype=torch.float64)
        return self.sigma**2 * torch.exp(-(index[:, None] - index).abs() / self.length)

    def posterior_mean(self, x: Tensor, t: float) -> Tensor:
        """E[x0 | x_t = x] for windows [K, D, F] at time t, exactly."""
        variance, basis = torch.linalg.eigh(self.covariance(x.shape[-1]))
        alpha = 1 - t
        total = alpha**2 * variance + t**2  # of x_t around alpha * mean, by eigenvector
        # the constant scenes and the windows in the eigenbasis of the motion: [M, D, F], [K, D, F]
        means = (self.means[:, :, None] * basis.sum(0)).to(x.dtype)
        rotated = x @ basis.to(x.dtype)
        off = rotated[:, None] - alpha * means  # [K, M, D, F]
        logits = -0.5 * (off**2 / total).sum((-1, -2))
        weights = logits.softmax(-1)
        each = means + (alpha * variance / total) * off
        return torch.einsum("km,kmdf->kdf", weights, each) @ basis.T.to(x.dtype)

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """v = (x_t - E[x0 | x_t]) / t."""
        return (x - self.posterior_mean(x, t)) / t


@dataclass(frozen=True)
class SceneFigures:
    """What a long sample [D, N] of the scene world is judged by.

    switches: changes of the nearest scene along the video. energy: detail, the mean square distance
    from the nearest scene over the motion's own variance. mahalanobis: squared distance of a window
    from the nearest scene a degree of freedom, mean over windows at every frame; 1 is on the
    manifold.
    """

    switches: float
    energy: float
    mahalanobis: float


def nearest_scenes(world: SceneWorld, video: Tensor) -> Tensor:
    """Index of the nearest scene in every frame: [D, N] -> [N]."""
    return torch.cdist(video.T, world.means.to(video.dtype)).argmin(-1)


def judge(world: SceneWorld, video: Tensor, geometry: WindowGeometry) -> SceneFigures:
    """The figures of one sample [D, N]."""
    scene = nearest_scenes(world, video)
    frames = geometry.window
    inverse = torch.linalg.inv(world.covariance(frames)).to(video.dtype)
    windows = video.unfold(1, frames, 1).permute(1, 0, 2)  # [P, D, F]
    off = windows[:, None] - world.means.to(video.dtype)[:, :, None]  # [P, M, D, F]
    squared = torch.einsum("pmdf,fg,pmdg->pm", off, inverse, off).amin(1)
    detail = (video - world.means.to(video.dtype)[scene].T).square().mean()
    return SceneFigures(
        float((scene[1:] != scene[:-1]).sum()),
        float(detail / world.sigma**2),
        float((squared / (frames * world.dim)).mean()),
    )
