"""Sines plus noise: decoder parameters to sound, block by block, with phases that never break.

Partials: a magnitude and a phase advance per bin; phases are summed over time, so a steady tone may
have any frequency, and latents need not carry phase at all. Around a peak the bins follow the
loudest (identity phase locking, Laroche & Dolson 1999). Noise: fixed white noise shaped by band
gains in short windows, sharp enough for drums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.codec import spectrum
from lmdm.codec.spectrum import (
    FRAME_SAMPLES,
    LONG_HOP,
    LONG_WINDOW,
    SAMPLE_RATE,
    SHORT_HOP,
    SHORT_WINDOW,
)

NOISE_FRAMES = 1024  # period of the noise table in short frames (3 s)
LONG_MARGIN = (LONG_WINDOW - LONG_HOP) // 2  # a frame's window starts this long before its hop
SHORT_MARGIN = (SHORT_WINDOW - SHORT_HOP) // 2
DELAY_SAMPLES = LONG_MARGIN  # sound is final up to this long before the newest latent frame's end


@dataclass(frozen=True)
class SynthesisParameters:
    """What the decoder says about n latent frames (4n long frames, 16n short frames).

    partial_magnitude [B, 4n, tonal_bins] amplitude; partial_advance [B, 4n, tonal_bins] radians
    beyond the bin centre's advance; partial_side [B, 4n, tonal_bins, 2] and
    noise_side [B, 16n, 257, 2]: side signal as a share of mid, (in phase, decorrelated);
    noise_gain [B, 16n, 257] amplitude.
    """

    partial_magnitude: Tensor
    partial_advance: Tensor
    partial_side: Tensor
    noise_gain: Tensor
    noise_side: Tensor


class SynthesisState(NamedTuple):
    """phase [B, tonal_bins] float64 radians; frame: short frames so far; tails of overlap-add."""

    phase: Tensor
    frame: int
    partial_tail: Tensor  # [B, 2, LONG_WINDOW - LONG_HOP]
    noise_tail: Tensor  # [B, 2, DELAY_SAMPLES + SHORT_MARGIN]


def noise_table() -> Tensor:
    """Spectra of two independent periodic white noises: complex [2, NOISE_FRAMES, 257].

    Unit expected power per bin. Always the same table: sound is a function of latents alone.
    """
    generator = torch.Generator().manual_seed(20226)
    samples = torch.randn(2, NOISE_FRAMES * SHORT_HOP, generator=generator)
    looped = torch.cat([samples[:, -SHORT_WINDOW:], samples, samples[:, :SHORT_WINDOW]], dim=1)
    spectra = spectrum.frame_spectra(looped, SHORT_WINDOW, SHORT_HOP)
    skip = SHORT_WINDOW // SHORT_HOP
    spectra = spectra[:, skip : skip + NOISE_FRAMES]
    return spectra / spectra.abs().square().mean().sqrt()


def initial_state(batch: int, tonal_bins: int, like: Tensor) -> SynthesisState:
    """Silence, with scattered phases so that the first partials do not form a click."""
    generator = torch.Generator().manual_seed(22717)
    phase = torch.rand(tonal_bins, generator=generator, dtype=torch.float64) * 2 * torch.pi
    return SynthesisState(
        phase=phase.to(like.device).expand(batch, tonal_bins),
        frame=0,
        partial_tail=like.new_zeros(batch, 2, LONG_WINDOW - LONG_HOP),
        noise_tail=like.new_zeros(batch, 2, DELAY_SAMPLES + SHORT_MARGIN),
    )


def synthesize(
    parameters: SynthesisParameters, state: SynthesisState, noise: Tensor
) -> tuple[Tensor, SynthesisState]:
    """n latent frames of parameters -> stereo samples [B, 2, 2048 n] and the next state.

    The samples lag the latents by DELAY_SAMPLES. `noise` is `noise_table()`.
    """
    partials, phase = partial_spectra(parameters, state.phase)
    short_frames = parameters.noise_gain.shape[1]
    hiss = noise_spectra(parameters, state.frame, noise)
    samples = short_frames * SHORT_HOP

    sound = spectrum.overlap_add(spectrum.synthesize_frames(partials, LONG_WINDOW), LONG_HOP)
    partial_sum = F.pad(state.partial_tail, (0, samples)) + sound

    sound = spectrum.overlap_add(spectrum.synthesize_frames(hiss, SHORT_WINDOW), SHORT_HOP)
    noise_sum = F.pad(state.noise_tail, (0, samples))
    noise_sum = noise_sum + F.pad(sound, (DELAY_SAMPLES - SHORT_MARGIN, 0))

    after = SynthesisState(
        phase=phase,
        frame=(state.frame + short_frames) % NOISE_FRAMES,
        partial_tail=partial_sum[..., samples:],
        noise_tail=noise_sum[..., samples:],
    )
    mid_side = partial_sum[..., :samples] + noise_sum[..., :samples]
    return left_right(mid_side), after


def flush(state: SynthesisState) -> Tensor:
    """The last DELAY_SAMPLES samples that the state still holds: [B, 2, DELAY_SAMPLES]."""
    held = state.partial_tail[..., :DELAY_SAMPLES] + state.noise_tail[..., :DELAY_SAMPLES]
    return left_right(held)


def partial_spectra(parameters: SynthesisParameters, phase: Tensor) -> tuple[Tensor, Tensor]:
    """Mid and side spectra of the partials: complex [B, 2, 4n, tonal_bins], and the last phase."""
    magnitude = parameters.partial_magnitude * audible(parameters.partial_advance)
    bins = torch.arange(magnitude.shape[-1], device=magnitude.device)
    centre = 2 * torch.pi * ((bins * LONG_HOP) % LONG_WINDOW).double() / LONG_WINDOW
    turns = torch.cumsum(parameters.partial_advance.double() + centre, dim=1)
    phases = torch.remainder(phase[:, None] + turns, 2 * torch.pi)
    locked = lock_phases(magnitude, phases.to(magnitude.dtype))
    mid = magnitude * locked
    in_phase, decorrelated = parameters.partial_side.unbind(-1)
    scatter = torch.polar(torch.ones_like(centre), bins.double() * 2.399963).to(mid.dtype)
    side = mid * in_phase + mid * scatter * decorrelated
    return torch.stack([mid, side], dim=1), phases[:, -1]


def audible(advance: Tensor) -> Tensor:
    """0 for partials below 15 Hz, 1 from 25 Hz on: what is between, like advance [.., tonal_bins].

    No music has anything there, but a decoder whose latents have gone astray may: a loud standing
    pressure that the ear takes for silence and a loudspeaker for its end.
    """
    bins = torch.arange(advance.shape[-1], device=advance.device)
    hertz = bins * SAMPLE_RATE / LONG_WINDOW + advance * SAMPLE_RATE / (2 * torch.pi * LONG_HOP)
    return ((hertz.abs() - 15.0) / 10.0).clamp(0.0, 1.0)


def lock_phases(magnitude: Tensor, phases: Tensor) -> Tensor:
    """Unit phasors in which the bins beside a peak share the peak's phase.

    Each bin takes the energy-weighted mean phasor of itself and one neighbour a side. A wider mean
    would lock the partials of low chords together, whose beating is heard as their pitch. The
    locked phases are not carried on: that sounds better, but is chaotic: a stream in blocks would
    soon differ from the whole decoded at once.
    """
    phasors = torch.polar(magnitude.square() + 1e-14, phases)
    mixed = phasors.clone()
    mixed[..., 1:] += phasors[..., :-1]
    mixed[..., :-1] += phasors[..., 1:]
    return mixed / mixed.abs().clamp_min(1e-20)


def noise_spectra(parameters: SynthesisParameters, frame: int, noise: Tensor) -> Tensor:
    """Mid and side spectra of the noise from short frame `frame` on: complex [B, 2, 16n, 257]."""
    count = parameters.noise_gain.shape[1]
    index = (torch.arange(count, device=noise.device) + frame) % NOISE_FRAMES
    mid_noise, side_noise = noise[:, index]
    in_phase, decorrelated = parameters.noise_side.unbind(-1)
    mid = parameters.noise_gain * mid_noise
    side = mid * in_phase + parameters.noise_gain * decorrelated * side_noise
    return torch.stack([mid, side], dim=1)


def left_right(mid_side: Tensor) -> Tensor:
    """[B, 2 (mid, side), S] -> [B, 2 (left, right), S], with mid = (left + right) / 2."""
    mid, side = mid_side.unbind(1)
    return torch.stack([mid + side, mid - side], dim=1)


assert FRAME_SAMPLES == 4 * LONG_HOP == 16 * SHORT_HOP
