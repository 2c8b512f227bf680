"""What a network was trained to predict, on the stream's own path.

The stream walks rectified flow, x = (1 - t) x0 + t noise. A "v" network (Stable Audio Open 1.0) was
trained on the trigonometric path, z = cos(φ) x0 + sin(φ) noise with φ = π τ/2. Both are the same
points but for a factor, z = x / √((1 - t)² + t²), where tan φ = t / (1 - t); so one stream plays
both, with any sampler. An Euler step here is a DDIM step there.
"""

from __future__ import annotations

import math

from torch import Tensor

from lmdm.diffusion.prediction import Kind, convert
from lmdm.diffusion.schedule import Cosine

COSINE = Cosine()


def network_input(objective: str, x: Tensor, t: float) -> tuple[Tensor, float]:
    """A point of the stream's path at time t in 0..1 as the network wants it, and its timestep."""
    if objective == "rectified_flow":
        return x, t
    return x / math.hypot(1 - t, t), 2 / math.pi * math.atan2(t, 1 - t)


def velocity_of(objective: str, output: Tensor, x: Tensor, t: float) -> Tensor:
    """The network's output at (x, t) as the velocity noise - x0 of the stream's path.

    output [R, C, n]; x [1, C, n] or [R, C, n].
    """
    if objective == "rectified_flow":
        return output
    z, timestep = network_input(objective, x, t)
    z = z.expand_as(output)
    output = output.to(z)
    noise = convert(output, Kind.VP_V, Kind.EPS, z, timestep, COSINE)
    return noise - convert(output, Kind.VP_V, Kind.X0, z, timestep, COSINE)
