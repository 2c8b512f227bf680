"""Laws of the starter codec: streamed == one-shot, causal, exact snapshots, clear refusals."""

import math

import pytest
import torch

from lmdm.codec import spectrum, synthesis
from lmdm.codec.spectral import DecoderOutput, SpectralCodec, SpectralCodecConfig
from lmdm.codec.spectrum import FRAME_SAMPLES, LONG_HOP, LONG_WINDOW, SAMPLE_RATE
from lmdm.codec.streaming import StreamingDecoder
from lmdm.errors import InputError

SMALL = SpectralCodecConfig(
    encoder_dim=32, encoder_depth=2, decoder_dim=48, decoder_depth=2, frame_dim=32, frame_depth=2
)


@pytest.fixture(scope="module")
def codec() -> SpectralCodec:
    torch.manual_seed(3)
    codec = SpectralCodec(SMALL).eval()
    with torch.no_grad():  # audible: fresh weights would decode to near silence
        codec.to_partial_level.bias.fill_(-4.5)
        codec.to_noise_level.bias.fill_(-3.5)
        codec.to_partial_level.weight.mul_(2)
    return codec


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(1, 64, 45, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("block", [1, 4, 10])
def test_streamed_decode_equals_one_shot(
    codec: SpectralCodec, latents: torch.Tensor, block: int
) -> None:
    stream = StreamingDecoder(codec)
    pieces = [stream.decode(part) for part in latents[0].split(block, dim=1)]
    streamed = torch.cat([*pieces, stream.flush()], dim=1)
    with torch.no_grad():
        whole = codec.decode(latents)[0]
    assert 0.01 < whole.abs().max() < 1.5
    assert streamed.shape == whole.shape == (2, 45 * FRAME_SAMPLES)
    assert (streamed - whole).abs().max() <= 1e-4


def test_snapshot_and_restore_are_exact(codec: SpectralCodec, latents: torch.Tensor) -> None:
    stream = StreamingDecoder(codec)
    stream.decode(latents[0, :, :8])
    kept = stream.snapshot()
    first = stream.decode(latents[0, :, 8:16])
    stream.decode(latents[0, :, 16:30])
    stream.restore(kept)
    assert torch.equal(stream.decode(latents[0, :, 8:16]), first)


def test_sound_needs_no_latent_more_than_one_frame_ahead(
    codec: SpectralCodec, latents: torch.Tensor
) -> None:
    changed = latents.clone()
    changed[..., 20:] += 1.0
    with torch.no_grad():
        before, after = codec.decode(latents), codec.decode(changed)
    assert torch.equal(before[..., : 19 * FRAME_SAMPLES], after[..., : 19 * FRAME_SAMPLES])
    assert not torch.equal(before[..., 19 * FRAME_SAMPLES :], after[..., 19 * FRAME_SAMPLES :])


def test_a_steady_partial_keeps_its_frequency_across_blocks(codec: SpectralCodec) -> None:
    """Phases are summed, so tones fall on no grid of the frame rate: 443.3 Hz stays 443.3 Hz."""
    frequency, frames = 443.3, 160
    peak = frequency * 2048 / SAMPLE_RATE
    bins = torch.arange(SMALL.tonal_bins)
    advance = 2 * math.pi * LONG_HOP / SAMPLE_RATE * frequency
    turn = (advance - 2 * math.pi * bins * LONG_HOP / 2048 + math.pi) % (2 * math.pi) - math.pi
    level = torch.where((bins - peak).abs() < 2, -0.6 - 0.3 * (bins - peak).abs(), -6.0)
    output = DecoderOutput(
        level.expand(1, frames, -1),
        turn.expand(1, frames, -1),
        torch.zeros(1, frames, SMALL.panorama_bands, 2),
        torch.full((1, 4 * frames, SMALL.noise_bands), -6.0),
        torch.zeros(1, frames, SMALL.panorama_bands, 2),
    )
    state = synthesis.initial_state(1, SMALL.tonal_bins, level)
    audio, _ = synthesis.synthesize(codec.parameters_of(output), state, codec.noise_table)
    tone = audio[0, 0, 8192 : 8192 + 65536] * torch.hann_window(65536)
    spectrum = torch.fft.rfft(tone).abs()
    assert abs(spectrum.argmax().item() * SAMPLE_RATE / 65536 - frequency) < 0.5
    near = torch.zeros_like(spectrum, dtype=torch.bool)
    near[spectrum.argmax() - 8 : spectrum.argmax() + 9] = True
    # A grid tone would stand at a multiple of 86 Hz away; the made-up lobe shape leaks at -47 dB.
    assert spectrum[~near].max() < 1e-2 * spectrum.max()


def test_a_chord_comes_back_as_it_was(codec: SpectralCodec) -> None:
    """Its own magnitudes and advances, and no phases: the error of the spectrum is below -16 dB."""
    time = torch.arange(2 * SAMPLE_RATE // 2048 * 2048, dtype=torch.float64) / SAMPLE_RATE
    pitches = (261.63, 329.63, 392.0)
    chord = sum(
        0.05 / n * torch.sin(2 * math.pi * n * each * time + n * n)
        for each in pitches
        for n in range(1, 9)
    ).float()
    spectra = spectrum.frame_spectra(chord[None], LONG_WINDOW, LONG_HOP)[..., : SMALL.tonal_bins]
    quiet = torch.zeros(1, 4 * spectra.shape[1], 257)
    parameters = synthesis.SynthesisParameters(
        spectra.abs(), spectrum.phase_deviation(spectra), torch.zeros(*spectra.shape, 2),
        quiet, torch.zeros(*quiet.shape, 2),
    )  # fmt: skip
    state = synthesis.initial_state(1, SMALL.tonal_bins, chord)
    audio, after = synthesis.synthesize(parameters, state, codec.noise_table)
    sound = torch.cat([audio[0, 0, synthesis.DELAY_SAMPLES :], synthesis.flush(after)[0, 0]])

    def middle(samples: torch.Tensor) -> torch.Tensor:
        cut = samples[8192:-8192].unfold(0, 16384, 8192) * torch.hann_window(16384)
        return torch.fft.rfft(cut).abs()[:, :3000]

    want, got = middle(chord), middle(sound)
    error = (want - got).square().sum() / want.square().sum()
    assert 10 * math.log10(error) < -16


def test_encode_gives_one_latent_a_frame_and_is_nearly_causal(codec: SpectralCodec) -> None:
    audio = torch.randn(1, 2, 20 * FRAME_SAMPLES, generator=torch.Generator().manual_seed(5)) * 0.1
    changed = audio.clone()
    changed[..., 12 * FRAME_SAMPLES :] = 0
    with torch.no_grad():
        before, after = codec.encode(audio), codec.encode(changed)
    assert before.shape == (1, 64, 20)
    # Windows look 768 samples past a frame's end: frame 11 may change, frame 10 may not.
    assert torch.allclose(before[..., :11], after[..., :11], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 2, 2047), (1, 1, 2048), (2, 2048)])
def test_encode_refuses_other_shapes_by_name(codec: SpectralCodec, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="codec input has shape"):
        codec.encode(torch.zeros(shape))


def test_unknown_config_key_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="latent_chanels"):
        SpectralCodecConfig.from_dict({"latent_chanels": 64})
    assert SpectralCodecConfig.from_dict(SMALL.to_dict()) == SMALL
