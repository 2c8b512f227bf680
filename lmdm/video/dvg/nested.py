"""Nested grids: every coarse point is a point of the finer grid, and keeps its value (§2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.video.dvg.planner import Shape

Axes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # full-grid indices along t, h, w


def evenly(points: Sequence[int], count: int) -> tuple[int, ...]:
    """`count` of the points, evenly chosen, both ends kept."""
    if count == 1:
        return (points[0],)
    last = len(points) - 1
    return tuple(points[int(index * last / (count - 1) + 0.5)] for index in range(count))


def nested_axes(shapes: Sequence[Shape]) -> list[Axes]:
    """Every stage's points in the full grid, built from the last stage backwards."""
    full = shapes[-1]
    axes: Axes = (tuple(range(full[0])), tuple(range(full[1])), tuple(range(full[2])))
    stages = [axes]
    for shape in reversed(shapes[:-1]):
        t, h, w = (evenly(line, size) for line, size in zip(axes, shape, strict=True))
        axes = (t, h, w)
        stages.append(axes)
    return stages[::-1]


def anchor_resize(latents: Tensor, coarse: Axes, fine: Axes) -> Tensor:
    """Latents [..., T, H, W] on a coarse grid -> the finer grid that contains it.

    Each frame is resized by area and its anchors are set back to their exact values; frames between
    anchored ones are interpolated linearly in time. (Plain trilinear resizing would shift all
    content by up to half a cell at every stage.)
    """
    lead = latents.shape[:-3]
    flat = latents.reshape(-1, *latents.shape[-3:])
    size = (len(fine[1]), len(fine[2]))
    wide = F.interpolate(flat, size, mode="area")
    rows = torch.tensor([fine[1].index(point) for point in coarse[1]])
    columns = torch.tensor([fine[2].index(point) for point in coarse[2]])
    wide[:, :, rows[:, None], columns] = flat
    return _through_time(wide, coarse[0], fine[0]).reshape(*lead, len(fine[0]), *size)


def _through_time(frames: Tensor, coarse: tuple[int, ...], fine: tuple[int, ...]) -> Tensor:
    """[n, T, H, W] at times `coarse` -> at times `fine`, which contain them."""
    known = torch.tensor(coarse, dtype=torch.float64)
    wanted = torch.tensor(fine, dtype=torch.float64)
    if len(coarse) == 1:
        return frames.expand(-1, len(fine), -1, -1).clone()
    left = (torch.searchsorted(known, wanted, right=True) - 1).clamp(0, len(coarse) - 2)
    share = (wanted - known[left]) / (known[left + 1] - known[left])
    share = share.to(frames).view(1, -1, 1, 1)
    return (1 - share) * frames[:, left] + share * frames[:, left + 1]


def anti_aliased(latents: Tensor, share: float = 0.3) -> Tensor:
    """A part of a 3x3 average-pooled copy blended in: after the first transition only."""
    flat = latents.reshape(-1, *latents.shape[-3:])
    pooled = F.avg_pool2d(flat, 3, stride=1, padding=1, count_include_pad=False)
    return torch.lerp(flat, pooled, share).reshape(latents.shape)
