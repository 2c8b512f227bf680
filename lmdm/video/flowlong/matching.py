"""Tweedie matching: overlapping windows agree on one predicted clean video (dossier §2, (1)-(3)).

The frame axis is dimension 2 of windows [K, C, F, ...] and dimension 1 of the timeline [C, N, ...].
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.video.flowlong.geometry import WindowGeometry


def ramp(overlap: int) -> Tensor:
    """lambda_i = i / (O - 1), the right window's share, from 0 to 1. float64 [O].

    One frame of overlap has no ramp; it belongs to both by half.
    """
    if overlap == 1:
        return torch.full((1,), 0.5, dtype=torch.float64)
    return torch.arange(overlap, dtype=torch.float64) / (overlap - 1)


def aggregate(windows: Tensor, geometry: WindowGeometry) -> Tensor:
    """One timeline [C, N, ...] from windows [K, C, F, ...].

    Each neighbouring pair is blended along `ramp` and written from left to right; where three
    windows meet, the last pair's blend stands (paper, appendix A.4), not a mean of three.
    """
    stride, overlap = geometry.stride, geometry.overlap
    timeline = windows.new_empty(windows.shape[1], geometry.timeline, *windows.shape[3:])
    for start, window in zip(geometry.starts, windows, strict=True):
        timeline[:, start : start + geometry.window] = window
    share = ramp(overlap).to(windows).view(-1, *[1] * (windows.dim() - 3))
    for k in range(1, geometry.windows):
        left, right = windows[k - 1][:, stride:], windows[k][:, :overlap]
        # exactly left at share 0 and right at share 1, which lerp does not promise
        start = k * stride
        timeline[:, start : start + overlap] = (1 - share) * left + share * right
    return timeline


def windows_of(timeline: Tensor, geometry: WindowGeometry) -> Tensor:
    """Windows [K, C, F, ...] cut from a timeline [C, N, ...]: overlaps agree exactly."""
    cut = [timeline[:, start : start + geometry.window] for start in geometry.starts]
    return torch.stack(cut)


def mismatch(windows: Tensor, geometry: WindowGeometry) -> float:
    """Largest difference between neighbours over their overlaps; 0 for a single window."""
    if geometry.windows == 1:
        return 0.0
    left, right = windows[:-1, :, geometry.stride :], windows[1:, :, : geometry.overlap]
    return float((left - right).abs().max())


def deterministic_step(x_t: Tensor, x0: Tensor, t: float, t_next: float) -> Tensor:
    """x_s = (1 - s) x0 + s x1, where x1 = (x_t - (1 - t) x0) / t is the noise that x_t holds."""
    return (1 - t_next) * x0 + t_next * (x_t - (1 - t) * x0) / t
