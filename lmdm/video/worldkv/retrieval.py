"""World retrieval: which remembered chunks look at what the next one looks at (dossier §2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmdm.dit.layers import KeysValues

ROUNDING = 1e-6  # an arccos near 1 turns errors of 1e-16 into 1e-8
METRICS = ("pose", "action", "attention", "random")


def chunk_pose(poses: Tensor) -> tuple[Tensor, Tensor]:
    """Mean translation [3] and mean rotation matrix [3, 3] of a chunk's poses [c, 4, 4].

    A mean of rotations is no rotation; over the small turn of a chunk that does no harm.
    """
    return poses[:, :3, 3].mean(0), poses[:, :3, :3].mean(0)


def pose_distances(
    translations: Tensor, rotations: Tensor, translation: Tensor, rotation: Tensor,
    weight: float = 0.5,
) -> Tensor:  # fmt: skip
    """Distances of candidates [n, 3], [n, 3, 3] from one pose: [n].

    w d_T / max d_T + (1 - w) d_R / max d_R, where d_T = |tau_j - tau_i|^2 and d_R is the angle
    arccos((tr(R_j^T R_i) - 1) / 2). A part that is 0 for all candidates counts nothing.
    """
    moved = (translations - translation).double().square().sum(-1)
    trace = torch.einsum("nij,ij->n", rotations.double(), rotation.double())
    turned = ((trace - 1) / 2).clamp(-1, 1).arccos()
    return weight * _of_largest(moved) + (1 - weight) * _of_largest(turned)


def _of_largest(values: Tensor) -> Tensor:
    largest = values.max()
    return values / largest if largest > ROUNDING else torch.zeros_like(values)


def planar_poses(actions: Tensor) -> Tensor:
    """Poses [T, 4, 4] from actions [T, 3]: steps ahead, to the right, and turns (radians).

    For models that are steered by keys and mouse: what is pressed is added up to a place and a
    heading on the plane (y down).
    """
    yaw = actions[:, 2].double().cumsum(0)
    ahead, right = actions[:, 0].double(), actions[:, 1].double()
    x = (ahead * yaw.sin() + right * yaw.cos()).cumsum(0)
    z = (ahead * yaw.cos() - right * yaw.sin()).cumsum(0)
    poses = torch.eye(4, dtype=torch.float64).repeat(len(actions), 1, 1)
    poses[:, 0, 0], poses[:, 0, 2] = yaw.cos(), yaw.sin()
    poses[:, 2, 0], poses[:, 2, 2] = -yaw.sin(), yaw.cos()
    poses[:, 0, 3], poses[:, 2, 3] = x, z
    return poses


def attention_distances(query: Tensor, keys: Sequence[Tensor]) -> Tensor:
    """Minus the mean over rows and heads of <mean q, mean k_j>: [n]; for models without poses.

    query: the current chunk's queries, or its keys in their stead, [B, heads, N, head_dim] of one
    layer at the first denoising step; keys: the same layer's of every candidate.
    """
    mean = query.mean(2)
    scores = [(mean * each.mean(2)).sum(-1).mean() for each in keys]
    return -torch.stack(scores)


def nearest(distances: Tensor, candidates: Sequence[int], count: int) -> list[int]:
    """The `count` nearest candidates, nearest first; of equals the earlier."""
    order = torch.sort(distances, stable=True).indices[:count]
    return [candidates[index] for index in order.tolist()]


def random_choice(candidates: Sequence[int], count: int, seed: int, chunk: int) -> list[int]:
    """As many candidates, drawn for one chunk."""
    generator = np.random.default_rng((seed, chunk))
    count = min(count, len(candidates))
    chosen = generator.choice(len(candidates), count, replace=False)
    return [candidates[index] for index in chosen.tolist()]


def candidates(chunk: int, sink: int, recent: int) -> list[int]:
    """Chunks that are neither sink nor recent: [sink, chunk - recent).

    `recent` counts past chunks. No chunk falls between: one that has left the recent window can be
    retrieved from the next chunk on.
    """
    return list(range(sink, max(sink, chunk - recent)))


def joined(parts: Sequence[list[KeysValues]]) -> list[KeysValues] | None:
    """Each layer's keys and values of several chunks, one after another; None of no chunk."""
    if not parts:
        return None
    layers = len(parts[0])
    return [
        (
            torch.cat([part[layer][0] for part in parts], dim=2),
            torch.cat([part[layer][1] for part in parts], dim=2),
        )
        for layer in range(layers)
    ]
