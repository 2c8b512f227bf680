"""Short-time spectra on the codec's frame grid, and the perceptual bands that summarise them.

Conventions: spectra are in amplitude units (a full-scale sine peaks near 1) and zero-phase (phase
is measured at the window's centre), so that all bins of one partial's main lobe share its phase.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLE_RATE = 44100
FRAME_SAMPLES = 2048  # samples per latent frame
LONG_WINDOW, LONG_HOP = 2048, 512  # partials: 21.5 Hz bins, four frames per latent frame
NOISE_COHERENCE, PARTIAL_COHERENCE = 0.68, 0.8  # phase steadiness of noise, of partials
SHORT_WINDOW, SHORT_HOP = 512, 128  # noise and attacks: 2.9 ms steps, sixteen per latent frame


def frame_spectra(audio: Tensor, window: int, hop: int) -> Tensor:
    """Hann spectra, frame j centred at sample hop/2 + j*hop.

    audio [..., S], S a multiple of hop -> complex [..., S/hop, window/2+1], amplitude units.
    """
    margin = (window - hop) // 2
    padded = F.pad(audio, (margin, margin))
    frames = padded.unfold(-1, window, hop) * hann(window, audio)
    spectra = torch.fft.rfft(frames.roll(window // 2, dims=-1))
    return spectra * (4.0 / window)


def synthesize_frames(spectra: Tensor, window: int) -> Tensor:
    """Inverse of one frame's analysis, windowed for overlap-add at hop = window/4.

    spectra complex [..., n, bins <= window/2+1] (missing top bins are silent) -> [..., n, window].
    """
    frames = torch.fft.irfft(spectra, n=window).roll(window // 2, dims=-1)
    # Four overlapping squared Hann windows add up to 1.5 everywhere.
    return frames * hann(window, frames) * (window / 4.0 / 1.5)


def overlap_add(frames: Tensor, hop: int) -> Tensor:
    """frames [..., n, window] at steps of hop -> samples [..., (n-1)*hop + window]."""
    *lead, count, window = frames.shape
    overlap = window // hop
    pieces = frames.reshape(*lead, count, overlap, hop)
    samples = frames.new_zeros(*lead, count + overlap - 1, hop)
    for piece in range(overlap):
        samples[..., piece : piece + count, :] += pieces[..., piece, :]
    return samples.flatten(-2)


def hann(window: int, like: Tensor) -> Tensor:
    """Periodic Hann window [window] in the type of `like`."""
    return torch.hann_window(window, dtype=like.real.dtype, device=like.device)


def band_matrix(bins: int, bands: int, window: int, linear_bands: int = 0) -> Tensor:
    """Triangular bands over spectral bins: linear first, then even on the ERB-rate scale.

    Returns [bands, bins]. Each column sums to one, so `band_values @ matrix` interpolates bands to
    bins; each row normalised by its sum averages bins into bands. The first `linear_bands` bands
    are single bins.
    """
    top = bins - 1

    def erb(bin_index: Tensor) -> Tensor:
        return torch.log1p(bin_index * SAMPLE_RATE / window * 0.00437)

    first = erb(torch.tensor(float(linear_bands), dtype=torch.float64))
    last = erb(torch.tensor(float(top), dtype=torch.float64))
    warped = torch.linspace(first.item(), last.item(), bands - linear_bands, dtype=torch.float64)
    upper = torch.expm1(warped) / 0.00437 * window / SAMPLE_RATE
    centres = torch.cat([torch.arange(linear_bands, dtype=torch.float64), upper])
    # No band narrower than a bin: push crowded low centres apart.
    for band in range(1, bands):
        centres[band] = max(centres[band].item(), centres[band - 1].item() + 1.0)
    centres = centres * min(1.0, top / centres[-1].item())
    position = torch.arange(bins, dtype=torch.float64)
    right = torch.searchsorted(centres, position).clamp(1, bands - 1)
    left = right - 1
    share = ((position - centres[left]) / (centres[right] - centres[left])).clamp(0, 1)
    matrix = torch.zeros(bands, bins, dtype=torch.float64)
    columns = torch.arange(bins)
    matrix[left, columns] += 1 - share
    matrix[right, columns] += share
    return matrix.float()


def average_matrix(matrix: Tensor) -> Tensor:
    """Rows of a `band_matrix` normalised to sum to one: bins [..., bins] @ result.T -> bands."""
    return matrix / matrix.sum(dim=1, keepdim=True).clamp_min(1e-9)


def tonality(spectra: Tensor) -> Tensor:
    """How steady each bin's phase advance is: 1 on a partial, about 0 in noise and at attacks.

    spectra: complex [..., frames, bins] on the long grid. A steady partial's phase has no second
    difference in time; the magnitude-weighted mean cosine of that difference over a small
    neighbourhood is rescaled so that white noise reads near 0 (its windows overlap by 75 %, hence
    the bias) and a partial with some noise about it still reads 1: what leaks from partials into
    the noise fills the valleys between them.
    """
    previous = F.pad(torch.view_as_real(spectra), (0, 0, 0, 0, 1, 1))
    padded = torch.view_as_complex(previous.contiguous())
    advance = padded[..., 1:, :] * padded[..., :-1, :].conj()
    steadiness = advance[..., 1:, :] * advance[..., :-1, :].conj()
    weight = steadiness.abs().clamp_min(1e-24)
    compress = weight.rsqrt()  # |.|^(1/2) keeps one loud frame from ruling its neighbours
    real = steadiness.real * compress
    total = weight * compress
    lead = real.shape[:-2]

    def smooth(values: Tensor) -> Tensor:
        flat = values.reshape(-1, 1, *values.shape[-2:])
        pooled = F.avg_pool2d(flat, (3, 3), stride=1, padding=1, count_include_pad=False)
        return pooled.reshape(*lead, *values.shape[-2:])

    coherence = smooth(real) / smooth(total).clamp_min(1e-12)
    return ((coherence - NOISE_COHERENCE) / (PARTIAL_COHERENCE - NOISE_COHERENCE)).clamp(0, 1)


def phase_deviation(spectra: Tensor) -> Tensor:
    """Phase advance of each bin since the frame before, less the bin centre's own advance.

    spectra: complex [..., frames, bins], long grid -> radians in (-pi, pi], frame 0 is 0.
    """
    advance = spectra[..., 1:, :] * spectra[..., :-1, :].conj()
    bins = torch.arange(spectra.shape[-1], device=spectra.device)
    turn = -2 * math.pi * ((bins * LONG_HOP) % LONG_WINDOW) / LONG_WINDOW
    rotated = advance * torch.polar(torch.ones_like(turn), turn)
    return F.pad(rotated.angle(), (0, 0, 1, 0))
