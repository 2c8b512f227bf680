"""What a sketch asks for: motion (frames) and fine detail (pixels); latents [C, T, H, W] (§2).

Both are measured on the clean estimate: noise itself would always give 0.63 and 0.07.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.video.metrics import high_band_share


def temporal_demand(latents: Tensor) -> float:
    """m_t = rho / (1 + rho), rho the mean length of one Lucas-Kanade vector a pair of frames.

    All sums run over the whole frame, so it is a global translation in cells a frame: opposite
    motions cancel, and steps beyond the texture's own length alias. 0 for a single frame.
    """
    motion = global_motion(latents)
    if not len(motion):
        return 0.0
    rho = float(motion.square().sum(-1).sqrt().mean())
    return rho / (1 + rho)


def global_motion(latents: Tensor) -> Tensor:
    """(u, v), columns and rows a frame, of every pair of neighbouring frames: [T - 1, 2].

    Of the mean over channels, every frame standardised; Sobel gradients of the earlier frame.
    """
    frames = latents.double().mean(0)
    mean = frames.mean((-2, -1), keepdim=True)
    frames = (frames - mean) / frames.std((-2, -1), keepdim=True).clamp_min(1e-6)
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64) / 8
    kernels = torch.stack([sobel, sobel.T])[:, None].to(frames.device)
    padded = F.pad(frames[:-1, None], (1, 1, 1, 1), mode="replicate")
    g_x, g_y = F.conv2d(padded, kernels).unbind(1)
    d = frames[1:] - frames[:-1]
    a, b, c = (x.sum((-2, -1)) for x in (g_x * g_x, g_x * g_y, g_y * g_y))
    p, q = -(g_x * d).sum((-2, -1)), -(g_y * d).sum((-2, -1))
    determinant = (a * c - b * b).clamp_min(1e-6)
    return torch.stack([(p * c - q * b) / determinant, (q * a - p * b) / determinant], dim=-1)


def spatial_demand(latents: Tensor) -> float:
    """m_s: share of the spectrum's power at r >= 0.5, channels standardised over the sketch."""
    x = latents.double()
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) / x.std((1, 2, 3), keepdim=True).clamp_min(1e-6)
    power = torch.fft.fft2(x, norm="ortho").abs().square().sum((-2, -1))
    share = high_band_share(x)
    return float((share * power).sum() / power.sum().clamp_min(1e-12))
