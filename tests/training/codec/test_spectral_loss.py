"""What the starter codec is asked to reproduce."""

from __future__ import annotations

import math

import pytest
import torch

from lmdm.codec import spectrum, synthesis
from lmdm.codec.spectral import DecoderOutput, SpectralCodec, SpectralCodecConfig
from lmdm.codec.spectrum import LONG_HOP, LONG_WINDOW, SAMPLE_RATE
from training.codec.spectral_loss import analyse, bin_weights, partial_share

SMALL = SpectralCodecConfig(
    encoder_dim=16, encoder_depth=1, decoder_dim=16, decoder_depth=1, frame_dim=16, frame_depth=1
)


def test_partials_are_everything_below_what_is_steady_above_and_nothing_at_the_top() -> None:
    noise = torch.randn(1, 65536, generator=torch.Generator().manual_seed(0))
    spectra = spectrum.frame_spectra(noise, LONG_WINDOW, LONG_HOP)
    share, steady = partial_share(spectra), spectrum.tonality(spectra)
    hertz = torch.arange(spectra.shape[-1]) * SAMPLE_RATE / LONG_WINDOW
    assert (share[..., hertz <= 1000] == 1).all()
    between = (hertz >= 3000) & (hertz <= 5000)
    assert torch.allclose(share[..., between], steady[..., between])
    assert (share[..., hertz >= 8000] == 0).all()


def test_bins_count_less_the_more_of_them_share_an_auditory_filter() -> None:
    weights = bin_weights(512)
    assert weights.mean() == pytest.approx(1.0)
    assert (weights.diff() < 0).all()
    # 24.7 (0.00437 f + 1) Hz: a filter at 4.31 kHz is 19.8 times as wide as at 0 Hz.
    assert weights[0] / weights[200] == pytest.approx(math.sqrt(0.00437 * 4306.6 + 1), rel=1e-3)


def test_a_low_chord_survives_analysis_and_synthesis() -> None:
    """Partials 27 Hz apart beat within a bin; all must come back, and nothing between them.

    Not exactly as loud as they were: their phases are not known, and they share bins.
    """
    codec = SpectralCodec(SMALL)
    time = torch.arange(32 * 2048, dtype=torch.float64) / SAMPLE_RATE
    pitches = (82.41, 110.0, 146.83)
    mono = sum(0.1 * torch.sin(2 * math.pi * each * time) for each in pitches).float()
    targets = analyse(codec, mono.expand(1, 2, -1))
    parameters = codec.parameters_of(
        DecoderOutput(
            targets.partial_level,
            targets.partial_advance,
            targets.partial_side,
            targets.noise_level,
            targets.noise_side,
        )
    )
    state = synthesis.initial_state(1, SMALL.tonal_bins, mono)
    sound, _ = synthesis.synthesize(parameters, state, codec.noise_table)
    window = torch.hann_window(32768)
    found = torch.fft.rfft(sound[0, 0, 16384 : 16384 + 32768] * window).abs()

    def level(hertz: float) -> float:
        at = round(hertz * 32768 / SAMPLE_RATE)
        return float(found[at - 2 : at + 3].max()) / float(window.sum() / 2) / 0.1

    partials = [20 * math.log10(level(each)) for each in pitches]
    gaps = [20 * math.log10(level(each)) for each in ((82.41 + 110) / 2, (110 + 146.83) / 2)]
    assert min(partials) > max(gaps) + 10
    power = sound[0, 0, 16384:-8192].square().mean() / mono[16384:-8192].square().mean()
    assert 10 * math.log10(float(power)) == pytest.approx(0, abs=3)
