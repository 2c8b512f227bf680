"""Laws of the short-time spectra: reconstruction, calibration, bands, tonality."""

import math

import pytest
import torch

from lmdm.codec import spectrum
from lmdm.codec.spectrum import LONG_HOP, LONG_WINDOW, SAMPLE_RATE, SHORT_HOP, SHORT_WINDOW


def sine(frequency: float, samples: int) -> torch.Tensor:
    time = torch.arange(samples, dtype=torch.float64) / SAMPLE_RATE
    return torch.sin(2 * math.pi * frequency * time)


@pytest.mark.parametrize(("window", "hop"), [(LONG_WINDOW, LONG_HOP), (SHORT_WINDOW, SHORT_HOP)])
def test_analysis_then_synthesis_is_the_identity(window: int, hop: int) -> None:
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 8192, generator=generator, dtype=torch.float64)
    frames = spectrum.synthesize_frames(spectrum.frame_spectra(audio, window, hop), window)
    margin = (window - hop) // 2
    rebuilt = spectrum.overlap_add(frames, hop)[:, margin : margin + 8192]
    inside = slice(window, -window)  # the ends miss overlapping neighbours
    assert (rebuilt - audio)[:, inside].abs().max() < 1e-12


def test_full_scale_sine_reads_one() -> None:
    spectra = spectrum.frame_spectra(sine(100 * SAMPLE_RATE / LONG_WINDOW, 8192), 2048, 512)
    assert spectra.abs()[4:-4, 100].sub(1).abs().max() < 1e-6


def test_main_lobe_shares_one_phase() -> None:
    spectra = spectrum.frame_spectra(sine(441.7, 16384), LONG_WINDOW, LONG_HOP)[8]
    peak = int(spectra.abs().argmax())
    angles = (spectra[peak - 1 : peak + 2] * spectra[peak].conj()).angle()
    assert angles.abs().max() < 1e-3


@pytest.mark.parametrize("bands", [24, 64])
def test_bands_interpolate_a_constant_exactly(bands: int) -> None:
    matrix = spectrum.band_matrix(1025, bands, LONG_WINDOW)
    assert torch.allclose(torch.ones(bands) @ matrix, torch.ones(1025), atol=1e-6)
    assert torch.allclose(spectrum.average_matrix(matrix) @ torch.ones(1025), torch.ones(bands))


def test_tonality_tells_partials_from_noise() -> None:
    generator = torch.Generator().manual_seed(1)
    hiss = torch.randn(1, 65536, generator=generator)
    tone = sine(443.0, 65536).float()[None]
    noise = spectrum.tonality(spectrum.frame_spectra(hiss, LONG_WINDOW, LONG_HOP)).mean()
    peak = round(443.0 * LONG_WINDOW / SAMPLE_RATE)
    partial = spectrum.tonality(spectrum.frame_spectra(tone, LONG_WINDOW, LONG_HOP))[0, 8:-8, peak]
    assert partial.min() > 0.99
    assert noise < 0.25


def test_phase_deviation_gives_the_frequency() -> None:
    frequency = 443.3
    spectra = spectrum.frame_spectra(sine(frequency, 32768), LONG_WINDOW, LONG_HOP)
    peak = round(frequency * LONG_WINDOW / SAMPLE_RATE)
    deviation = spectrum.phase_deviation(spectra)[8:-8, peak]
    measured = peak * SAMPLE_RATE / LONG_WINDOW + deviation * SAMPLE_RATE / (2 * math.pi * LONG_HOP)
    assert (measured - frequency).abs().max() < 0.01
