"""Drawn faces: an identity is a vector of facial parameters, pose and light are nuisance.

No photograph of anybody is needed to show what unlearning does; the faces are drawn from soft-edged
shapes, so that before and after can be looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIZE = 32  # pixels
IDENTITY = 16  # parameters of an identity, each uniform in [-1, 1]
NUISANCE = 4  # yaw, pitch, light direction, light strength, each uniform in [-1, 1]
CHANNELS = 3


def draw(identity: Tensor, nuisance: Tensor) -> Tensor:
    """Faces [N, 3, 32, 32] in [-1, 1] of identities [N, 16] and nuisances [N, 4]."""
    p = (0.5 + 0.5 * identity).T[:, :, None, None]  # parameters in 0..1, each [N, 1, 1]
    yaw, pitch, light, strength = nuisance.T[:, :, None, None]
    axis = (torch.arange(SIZE, device=identity.device) + 0.5) / SIZE * 2.0 - 1.0
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    u, v = x - 0.12 * yaw, y - 0.08 * pitch  # features move with the pose, the head less
    canvas = _colour(0.25 + 0 * p[0], 0.3 + 0 * p[0], 0.38 + 0 * p[0]) + 0 * x

    hair = _colour(0.08 + 0.75 * p[0], 0.06 + 0.5 * p[0] * p[1], 0.05 + 0.3 * p[1] * p[0])
    skin = _colour(0.45 + 0.5 * p[2], 0.3 + 0.45 * p[2], 0.22 + 0.4 * p[2])
    width, height = 0.48 + 0.22 * p[3], 0.62 + 0.2 * p[4]
    head = _ellipse(x - 0.03 * yaw, y - 0.05, width, height)
    crown = _ellipse(x - 0.03 * yaw, y + 0.1, width + 0.1 + 0.12 * p[5], height + 0.05)
    canvas = _over(canvas, hair, crown * _below(y, 0.1 + 0.75 * p[5]))
    canvas = _over(canvas, skin, head)
    canvas = _over(canvas, hair, head * _below(v, -0.62 + 0.34 * p[6]))  # fringe

    apart, level = 0.18 + 0.12 * p[7], -0.12 + 0.1 * p[8]
    opened, iris = 0.05 + 0.06 * p[9], _colour(0.1 + 0.25 * p[1], 0.2 + 0.4 * p[10], 0.7 * p[10])
    for side in (-1.0, 1.0):
        centre = u - side * apart
        canvas = _over(canvas, _colour(0.95, 0.95, 0.95), _ellipse(centre, v - level, 0.12, opened))
        canvas = _over(canvas, iris, _ellipse(centre, v - level, 0.055, opened))
        brow = v - level + 0.15 + 0.12 * (p[11] - 0.5) * side * centre / 0.1
        canvas = _over(canvas, hair, _ellipse(centre, brow, 0.15, 0.025 + 0.04 * p[12]))
    nose = 0.8 * skin
    canvas = _over(canvas, nose, _ellipse(u, v - 0.1, 0.05 + 0.06 * p[13], 0.1 + 0.08 * p[8]))
    lips = _colour(0.55 + 0.35 * p[14], 0.2 + 0.15 * p[2], 0.22 + 0.2 * p[2])
    bend = 0.5 * (p[15] - 0.5) * (u / 0.2) ** 2 * 0.15
    canvas = _over(canvas, lips, _ellipse(u, v - 0.42 + bend, 0.12 + 0.12 * p[14], 0.05))
    beard = head * _below(-v, -0.38) * (p[15] * p[12] > 0.42)
    canvas = _over(canvas, hair, 0.6 * beard)

    shade = 1.0 + 0.25 * (0.6 + 0.4 * strength) * (light * x - 0.4 * y)
    return (canvas * shade[:, None]).clamp(0.0, 1.0) * 2.0 - 1.0


def random_identities(count: int, generator: torch.Generator) -> Tensor:
    """[count, 16]."""
    return torch.rand(count, IDENTITY, generator=generator) * 2.0 - 1.0


def random_nuisance(count: int, generator: torch.Generator) -> Tensor:
    """[count, 4]."""
    return torch.rand(count, NUISANCE, generator=generator) * 2.0 - 1.0


def _colour(red: Tensor | float, green: Tensor | float, blue: Tensor | float) -> Tensor:
    parts = torch.broadcast_tensors(*(torch.as_tensor(each) for each in (red, green, blue)))
    stacked = torch.stack(parts, dim=-3 if parts[0].dim() > 1 else 0)
    return stacked if stacked.dim() > 1 else stacked[:, None, None]


def _ellipse(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    """Cover of an ellipse, 0 to 1, with an edge about a pixel wide. [N, H, W]."""
    radius = ((x / width) ** 2 + (y / height) ** 2).clamp_min(1e-9).sqrt()
    scale = torch.minimum(torch.as_tensor(width), torch.as_tensor(height))
    return torch.sigmoid((1.0 - radius) * scale * SIZE * 1.5)


def _below(value: Tensor, limit: Tensor | float) -> Tensor:
    """1 where value < limit, softly."""
    return torch.sigmoid((limit - value) * SIZE)


def _over(canvas: Tensor, colour: Tensor, cover: Tensor) -> Tensor:
    """Canvas [N, 3, H, W] painted with a colour [N or none, 3, 1, 1] where cover [N, H, W] is 1."""
    return canvas + cover[:, None] * (colour - canvas)
