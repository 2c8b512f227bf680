"""What the starter codec is asked to reproduce, and the loss terms, each logged apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.codec import spectrum
from lmdm.codec.spectral import SHORT_FRAMES, DecoderOutput, SpectralCodec
from lmdm.codec.spectrum import FRAME_SAMPLES, LONG_HOP, LONG_WINDOW, SHORT_HOP, SHORT_WINDOW

LONG_FRAMES = FRAME_SAMPLES // LONG_HOP
ALL_PARTIALS, STEADY_PARTIALS = 1000.0, 3000.0  # Hz; see `partial_share`
FADE, NOISE_ONLY = 5000.0, 8000.0  # Hz


@dataclass(frozen=True)
class SpectralTargets:
    """Sines-plus-noise analysis of real audio, in the units of `DecoderOutput`."""

    partial_level: Tensor
    partial_weight: Tensor  # how much each bin's phase advance matters
    partial_advance: Tensor
    partial_side: Tensor
    partial_side_weight: Tensor
    noise_level: Tensor
    noise_side: Tensor
    noise_side_weight: Tensor


@torch.no_grad()
def analyse(codec: SpectralCodec, audio: Tensor) -> SpectralTargets:
    """audio [B, 2, 2048 T] -> targets. Power is split between partials and noise."""
    left, right = audio.unbind(1)
    mid_side = torch.stack([(left + right) / 2, (left - right) / 2], dim=1)
    long = spectrum.frame_spectra(mid_side, LONG_WINDOW, LONG_HOP)
    mid, side = long.unbind(1)
    tonal = codec.config.tonal_bins
    share = partial_share(mid)[..., :tonal]
    mid_power, side_power = mid.abs().square(), side.abs().square()
    partial_power = mid_power[..., :tonal] * share
    cross_power = (mid * side.conj()).real

    def placement(average: Tensor, m: Tensor, s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        m, s, c = m @ average.T, s @ average.T, c @ average.T
        in_phase = (c / (m + 1e-9)).clamp(-1, 1)
        decorrelated = (s / (m + 1e-9) - in_phase.square()).clamp(0, 1).sqrt()
        return torch.stack([in_phase, decorrelated], dim=-1), m.clamp_min(1e-12) ** 0.25

    tonal_mask = torch.zeros_like(mid_power)
    tonal_mask[..., :tonal] = share
    partial_side, partial_side_weight = placement(
        codec.panorama_average,
        mid_power * tonal_mask,
        side_power * tonal_mask,
        cross_power * tonal_mask,
    )

    short = spectrum.frame_spectra(mid_side, SHORT_WINDOW, SHORT_HOP)
    short_mid, short_side = short.unbind(1)
    short_power = short_mid.abs().square()
    # Share of noise, carried from long frames and bins to short frames and bands.
    noisy = torch.ones_like(mid_power)
    noisy[..., :tonal] = 1 - share
    ratio = LONG_WINDOW // SHORT_WINDOW
    pooled_total = pool_bins(mid_power, ratio)
    pooled_noise = pool_bins(mid_power * noisy, ratio)
    noise_share = pooled_noise / (pooled_total + 1e-12)
    noise_share = noise_share.repeat_interleave(SHORT_FRAMES // LONG_FRAMES, dim=1)
    noise_power = (short_power * noise_share) @ codec.noise_average.T

    coarse = SHORT_FRAMES // LONG_FRAMES
    cross_short = (short_mid * short_side.conj()).real * noise_share

    def gather(power: Tensor) -> Tensor:
        return power.reshape(len(power), -1, coarse, power.shape[-1]).mean(2)

    noise_side, noise_side_weight = placement(
        codec.short_panorama_average,
        gather(short_power * noise_share),
        gather(short_side.abs().square() * noise_share),
        gather(cross_short),
    )
    return SpectralTargets(
        partial_level=level(partial_power),
        partial_weight=partial_power.clamp_min(1e-14) ** 0.4 * share,
        partial_advance=spectrum.phase_deviation(mid[..., :tonal]),
        partial_side=partial_side,
        partial_side_weight=partial_side_weight,
        # Hann-windowed noise of unit table power has its band power shared over the main lobe.
        noise_level=level(noise_power),
        noise_side=noise_side,
        noise_side_weight=noise_side_weight,
    )


def partial_share(spectra: Tensor) -> Tensor:
    """Which share of each bin's power goes to partials: complex [.., frames, bins] -> 0..1.

    Up to 1 kHz everything: partials of low chords lie so close that they beat within a bin and do
    not read as steady, and as noise they would be lost (chroma F1 0.74 instead of 0.82 of targets
    resynthesised). From 3 kHz on what is steady. Towards 8 kHz nothing: the ear no longer tells
    tones apart by pitch there, but hears a wrong one as a whistle.
    """
    bins = torch.arange(spectra.shape[-1], device=spectra.device)
    hertz = bins * (spectrum.SAMPLE_RATE / LONG_WINDOW)
    whole = ((STEADY_PARTIALS - hertz) / (STEADY_PARTIALS - ALL_PARTIALS)).clamp(0, 1)
    kept = ((NOISE_ONLY - hertz) / (NOISE_ONLY - FADE)).clamp(0, 1)
    return kept * torch.lerp(spectrum.tonality(spectra), torch.ones_like(whole), whole)


def bin_weights(bins: int) -> Tensor:
    """How much each bin's error matters [bins], mean 1: as the root of bins per auditory filter.

    An auditory filter at 100 Hz is 35 Hz wide, at 5 kHz 560 Hz (Glasberg & Moore 1990, eq. 3).
    """
    hertz = torch.arange(bins) * (spectrum.SAMPLE_RATE / LONG_WINDOW)
    weights = (24.7 * (0.00437 * hertz + 1)).rsqrt()
    return weights / weights.mean()


def pool_bins(power: Tensor, ratio: int) -> Tensor:
    """Long-window bins [.., 1025] summed onto short-window bins [.., 257]."""
    head = power[..., : ratio // 2].sum(-1, keepdim=True)
    body = power[..., ratio // 2 : -(ratio // 2 + 1)]
    body = body.reshape(*body.shape[:-1], -1, ratio).sum(-1)
    tail = power[..., -(ratio // 2 + 1) :].sum(-1, keepdim=True)
    return torch.cat([head, body, tail], dim=-1)


def level(power: Tensor) -> Tensor:
    """Power -> log10 amplitude, floored at -80 dB."""
    return 0.5 * torch.log10(power.clamp_min(1e-8))


def energy_error(guess: Tensor, truth: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """Error of pooled power, in log10 amplitude.

    The level terms alone ask for the median of each bin, which is quieter than its mean power.
    """
    guessed = level(pool(10.0 ** (2 * guess.clamp(-5, 1))))
    true = level(pool(10.0 ** (2 * truth)))
    return ((1 + (true + 4).clamp(0, 3)) * (guessed - true).abs()).mean()


def loss_terms(
    codec: SpectralCodec, output: DecoderOutput, targets: SpectralTargets
) -> dict[str, Tensor]:
    """Each term's mean; 1 in the level terms is 20 dB."""
    bands = codec.side_average[:, : codec.config.tonal_bins].T

    def over_bins(power: Tensor) -> Tensor:
        return power @ bands

    def over_time(power: Tensor) -> Tensor:
        return power.unflatten(1, (-1, SHORT_FRAMES // 2)).mean(2)

    audible = bin_weights(codec.config.tonal_bins).to(targets.partial_level)
    # Loud bins count up to four times as much as the floor.
    emphasis = audible * (1 + (targets.partial_level + 4).clamp(0, 3))
    partial = (emphasis * (output.partial_level - targets.partial_level).abs()).mean()
    noise_emphasis = 1 + (targets.noise_level + 4).clamp(0, 3)
    noise = (noise_emphasis * (output.noise_level - targets.noise_level).abs()).mean()
    weight = targets.partial_weight * audible
    turned = 1 - torch.cos(output.partial_advance - targets.partial_advance)
    advance = (weight * turned).sum() / weight.sum().clamp_min(1e-6)
    overshoot = (output.partial_advance.abs() - torch.pi).clamp_min(0).square().mean()

    def placed(guess: Tensor, truth: Tensor, importance: Tensor) -> Tensor:
        error = (guess - truth).abs().sum(-1)
        return (importance * error).sum() / importance.sum().clamp_min(1e-6)

    return {
        "partials": partial,
        "partial_energy": energy_error(output.partial_level, targets.partial_level, over_bins),
        "noise_energy": energy_error(output.noise_level, targets.noise_level, over_time),
        "noise": noise,
        "advance": advance + 0.1 * overshoot,
        "partial_side": placed(
            output.partial_side, targets.partial_side, targets.partial_side_weight
        ),
        "noise_side": placed(output.noise_side, targets.noise_side, targets.noise_side_weight),
    }


LOSS_WEIGHTS = {
    "partials": 1.0,
    "partial_energy": 0.5,
    "noise_energy": 0.3,
    "noise": 0.7,
    "advance": 2.0,
    "partial_side": 0.2,
    "noise_side": 0.1,
}


def weighted(terms: dict[str, Tensor]) -> Tensor:
    """The sum that is minimised."""
    return torch.stack([LOSS_WEIGHTS[name] * term for name, term in terms.items()]).sum()
