"""Losses of a codec: multi-resolution STFT, hinge GAN, feature matching, KL of the bottleneck."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIZES = (2048, 1024, 512, 256, 128, 64, 32)  # windows in samples; the hop is a quarter
FLOOR = 1e-5  # magnitude below which logarithms count as this


def magnitudes(sound: Tensor, size: int) -> Tensor:
    """sound [N, S] -> Hann STFT magnitudes [N, bins, frames], in units of the window's sum."""
    window = torch.hann_window(size, device=sound.device, dtype=sound.dtype)
    spectrum = torch.stft(sound, size, size // 4, window=window, return_complex=True)
    return spectrum.abs() / window.sum()


def stft_loss(sound: Tensor, truth: Tensor, sizes: Sequence[int] = SIZES) -> Tensor:
    """Multi-resolution STFT distance of [N, S] (Parallel WaveGAN, eqs. 3 and 4).

    Spectral convergence ||X| - |Y|| / ||Y|| plus mean |log |X| - log |Y||, mean over resolutions.
    """
    total = sound.new_zeros(())
    for size in sizes:
        got, want = magnitudes(sound, size), magnitudes(truth, size)
        convergence = torch.linalg.norm(got - want) / torch.linalg.norm(want).clamp_min(FLOOR)
        logs = (got.clamp_min(FLOOR).log() - want.clamp_min(FLOOR).log()).abs().mean()
        total = total + (convergence + logs) / len(sizes)
    return total


def stereo_stft_loss(sound: Tensor, truth: Tensor, sizes: Sequence[int] = SIZES) -> Tensor:
    """[B, 2, S]: the mean of the distance of left and right and that of sum and difference."""
    sides = [stft_loss(sound.flatten(0, 1), truth.flatten(0, 1), sizes)]
    for sign in (1.0, -1.0):
        got, want = ((x[:, 0] + sign * x[:, 1]) / 2 for x in (sound, truth))
        sides.append(stft_loss(got, want, sizes) / 2)
    return torch.stack(sides).sum() / 2


def hinge_discriminator(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean over resolutions of E max(0, 1 - D(x)) + E max(0, 1 + D(x^))."""
    terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def hinge_generator(fake: Sequence[Tensor]) -> Tensor:
    """Mean over resolutions of -E D(x^)."""
    return torch.stack([-each.mean() for each in fake]).mean()


def feature_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Mean over resolutions and layers of E |f(x) - f(x^)| / E |f(x)|; real ones are constants."""
    terms = [
        (a.detach() - b).abs().mean() / a.detach().abs().mean().clamp_min(1e-8)
        for of_real, of_fake in zip(real, fake, strict=True)
        for a, b in zip(of_real, of_fake, strict=True)
    ]
    return torch.stack(terms).mean()


def kl_to_normal(parameters: Tensor) -> Tensor:
    """Encoder output [B, 2 C, T] = mean and scale -> KL(N(mean, std) | N(0, 1)), summed over C.

    std = softplus(scale) + 1e-4, as Oobleck's bottleneck has it. (Twice the usual KL, as in
    stable-audio-tools, so its weights can be used.)
    """
    mean, scale = parameters.chunk(2, dim=1)
    variance = (F.softplus(scale) + 1e-4).square()
    return (mean.square() + variance - variance.log() - 1).sum(1).mean()
