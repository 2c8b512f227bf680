"""Detection while sampling, and the two-level mitigation: one pure function a step (§2.3, §2.4).

A sample is unlabelled until both its update and its x̂0 leave the region; then it is mild or strong,
and stays so. Only active samples are touched, all others pass through bit for bit. The constants
are those of a public port of the paper's Algorithms 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.safety.memorization.region import Region, norms_of

UNLABELLED, MILD, STRONG = 0, 1, 2
UPDATE, DENOISED, LATENTS = 0, 1, 2  # rows of the norms


@dataclass(frozen=True)
class Mitigation:
    """Thresholds in standard deviations of the region."""

    mild: float = 3.0  # τ_mild: where a sample is labelled, and where a step is active
    strong: float = 14.0  # τ_strong: x̂0 beyond it labels strong
    width: float = 3.0  # γ: half the width of the region that norms are clamped into
    mild_share: float = 0.2  # of all steps in which a mild sample is touched (10 of 50)


@dataclass(frozen=True)
class Guarded:
    """What came of one step. proposal [B, ...], labels [B], active [B], z [3, B] before it."""

    proposal: Tensor
    labels: Tensor
    active: Tensor
    z: Tensor


def guard(
    latents: Tensor,
    proposal: Tensor,
    denoised: Tensor,
    coefficient: float,
    labels: Tensor,
    step: int,
    region: Region,
    mitigation: Mitigation | None,
) -> Guarded:
    """Judges one step of a batch and, with a mitigation, mends the active samples' proposals.

    coefficient: of x̂0 in the proposal (√ᾱ of the next step for variance-preserving schedules).
    """
    z = region.z(norms_of(latents, proposal, denoised), step)
    thresholds = mitigation or Mitigation()
    size = z.abs()
    out = (size[UPDATE] > thresholds.mild) & (size[DENOISED] > thresholds.mild)
    level = torch.where(size[DENOISED] > thresholds.strong, STRONG, MILD)
    labels = torch.where((labels == UNLABELLED) & out, level, labels)
    early = step < thresholds.mild_share * region.steps
    active = (size[UPDATE] > thresholds.mild) & (
        (labels == STRONG) | ((labels == MILD) if early else torch.zeros_like(out))
    )
    if mitigation is None or not bool(active.any()):
        return Guarded(proposal, labels, active & (mitigation is not None), z)
    mended = _mended(latents, proposal, denoised, coefficient, labels, step, region, mitigation)
    return Guarded(torch.where(_as(active, proposal), mended, proposal), labels, active, z)


def _mended(
    latents: Tensor,
    proposal: Tensor,
    denoised: Tensor,
    coefficient: float,
    labels: Tensor,
    step: int,
    region: Region,
    mitigation: Mitigation,
) -> Tensor:
    """The four operations of §2.4, on every sample."""
    low = (region.mean[step] - mitigation.width * region.std[step]).clamp_min(0.0)
    high = region.mean[step] + mitigation.width * region.std[step]
    usual = region.mean[step, DENOISED].expand(len(denoised))
    corrected = denoised * _as(usual / _norm(denoised), denoised)  # 1: direction kept
    proposal = proposal + coefficient * (corrected - denoised)  # 2
    update = proposal - latents
    clamped = update * _as(_into(_norm(update), low[UPDATE], high[UPDATE]), update)
    strong = _as(labels == STRONG, proposal)
    proposal = torch.where(strong, latents + clamped, proposal)  # 3
    return proposal * _as(_into(_norm(proposal), low[LATENTS], high[LATENTS]), proposal)  # 4


def _norm(batch: Tensor) -> Tensor:
    return batch.double().flatten(1).norm(dim=1).clamp_min(1e-12)


def _into(norm: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The factor that brings a norm into [low, high]."""
    return torch.minimum(torch.maximum(norm, low), high) / norm


def _as(values: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ...] of like's dtype (bool stays bool)."""
    shaped = values.reshape(-1, *[1] * (like.dim() - 1))
    return shaped if values.dtype == torch.bool else shaped.to(like.dtype)
