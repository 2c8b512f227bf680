"""Random weights that every machine draws alike, for checkpoints too large to ship."""

from __future__ import annotations

import zlib

import numpy as np


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor for a name: float32, of a size that keeps a network's signals in range.

    From numpy's legacy generator, whose stream never changes. Rotary frequencies are of another
    base than the reference's own, so that a loader must read them.
    """
    if name.endswith("inv_freq"):
        return (7000.0 ** -(np.arange(shape[0]) / shape[0])).astype(np.float32)
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith(("gamma", "weight_g", "norm.weight", "original0")):
        noise = 1.0 + 0.2 * noise
    elif len(shape) > 1:
        noise = noise / np.sqrt(np.prod(shape[1:]))
    else:
        noise = 0.2 * noise
    return noise.astype(np.float32)
