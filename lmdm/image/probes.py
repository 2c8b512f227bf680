"""What a decoder owes to its detail tokens: decode with wrong ones, and see what is lost."""

from __future__ import annotations

import torch
from torch import Tensor

PROBES = ("shuffle", "zero", "mean")


def probed(q: Tensor, kind: str) -> Tensor:
    """Detail tokens [B, Q, D] of another picture (shuffle), of none (zero), of all (mean).

    Another is the one half the batch away: neighbours in a folder are often alike.
    """
    if kind == "shuffle":
        return q.roll(max(1, len(q) // 2), dims=0)
    if kind == "zero":
        return torch.zeros_like(q)
    if kind == "mean":
        return q.mean(0, keepdim=True).expand_as(q)
    raise ValueError(f"unknown probe {kind!r}; known: {', '.join(PROBES)}")
