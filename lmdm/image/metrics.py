"""Figures: likeness of reconstructions, distance of distributions, meaning of tokens."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.losses import PerceptualDistance

Array = NDArray[np.float64]


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """dB of each picture, on values clamped to 0..1: [B, 3, H, W] twice -> [B]."""
    error = (images.clamp(0, 1) - references).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Structural similarity of each picture (torchmetrics), [B]."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(
        images.clamp(0, 1), references, data_range=1.0, reduction="none"
    )
    assert isinstance(found, Tensor)
    return found.reshape(-1)


def likeness(
    images: Tensor, references: Tensor, perceptual: PerceptualDistance
) -> dict[str, Array]:
    """PSNR, SSIM and perceptual distance of each picture."""
    with torch.no_grad():
        apart = perceptual(images, references)
    figures = {
        "psnr": psnr(images, references),
        "ssim": ssim(images, references),
        "perceptual": apart,
    }
    return {name: value.double().cpu().numpy() for name, value in figures.items()}


@torch.no_grad()
def pooled_features(images: Tensor, judge: VisionBackbone, batch: int = 64) -> Array:
    """The judge's last features, before its norm, averaged over the picture: float64 [n, dim]."""
    parts = [
        judge.features(part.clamp(0, 1), (judge.depth,)).taps[0].mean(1).double().cpu()
        for part in images.split(batch)
    ]
    return torch.cat(parts).numpy()


def pixel_features(images: Tensor) -> Array:
    """The picture at 8 x 8 pixels, float64 [n, 192]: colours and where they are, no meaning."""
    return F.adaptive_avg_pool2d(images.clamp(0, 1), 8).flatten(1).double().cpu().numpy()


def frechet_distance(one: Array, two: Array) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two clouds [n, d].

    The trace of the root is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which
    is symmetric; so singular covariances (fewer pictures than channels) need no care.
    """
    shift = one.mean(0) - two.mean(0)
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    crossed = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * crossed)


def linear_probe(
    features: Array, labels: NDArray[np.int64], folds: int = 5, seed: int = 0
) -> Array:
    """Accuracy of a logistic regression on each of `folds` stratified folds, [folds].

    Raises:
        ValueError: a class has fewer pictures than there are folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if np.bincount(labels).min() < folds:
        raise ValueError(f"a class has fewer than {folds} pictures")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_score(probe, features, labels, cv=split))
