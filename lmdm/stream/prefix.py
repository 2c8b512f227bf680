"""A block whose first frames are settled: they were heard before the rest was asked for.

On the rectified-flow path the velocity that leads from x at time t straight to x0 is (x - x0) / t;
with it in place of the network's own, every sampler keeps the settled frames at x0 and denoises the
others beside them. This is outpainting inside a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.diffusion.samplers import Velocities
from lmdm.stream.strategies import Network


def settled_network(network: Network, settled: Tensor) -> Network:
    """The network, with its first frames led to `settled` [C, f]."""
    frames = settled.shape[1]

    def velocities(x: Tensor, t: float) -> Velocities:
        exact = (x[..., :frames] - settled) / t
        conditional, null = network(x, t)
        return _led(conditional, exact), None if null is None else _led(null, exact)

    return velocities


def _led(velocity: Tensor, exact: Tensor) -> Tensor:
    return torch.cat([exact, velocity[..., exact.shape[-1] :]], dim=-1)
