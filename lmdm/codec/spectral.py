"""The starter codec: a phase-free latent of sines-plus-noise parameters, causal and cheap.

Encoder: log spectra of mid and side -> causal ConvNeXt at 21.5 Hz -> 64 whitened channels.
Decoder: causal ConvNeXt at 21.5 Hz, then 86 Hz -> the parameters of `synthesis`. Latents carry no
waveform phase, so a steady sound has steady latents, which a small diffusion model learns readily.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lmdm.codec import spectrum, synthesis
from lmdm.codec.convolution import CausalStack
from lmdm.codec.spectrum import (
    FRAME_SAMPLES,
    LONG_HOP,
    LONG_WINDOW,
    SAMPLE_RATE,
    SHORT_HOP,
    SHORT_WINDOW,
)
from lmdm.codec.synthesis import SynthesisParameters, SynthesisState
from lmdm.errors import InputError

LONG_FRAMES = FRAME_SAMPLES // LONG_HOP  # 4 long frames per latent frame
SHORT_FRAMES = FRAME_SAMPLES // SHORT_HOP  # 16 short frames per latent frame
LONG_BINS, SHORT_BINS = LONG_WINDOW // 2 + 1, SHORT_WINDOW // 2 + 1


@dataclass(frozen=True)
class SpectralCodecConfig:
    """Sizes of the codec. Band counts summarise spectra; dims are channels."""

    latent_channels: int = 64
    encoder_dim: int = 384
    encoder_depth: int = 4
    decoder_dim: int = 512
    decoder_depth: int = 5
    frame_dim: int = 256  # channels of the 86 Hz stage
    frame_depth: int = 2
    kernel: int = 5
    expansion: int = 2
    tonal_bins: int = 512  # partials up to 11 kHz; above, noise
    mid_bands: int = 192  # encoder view of mid, the first 128 of them single bins
    side_bands: int = 64
    noise_bands: int = 48
    panorama_bands: int = 24  # resolution of stereo placement
    latent_noise: float = 0.1  # training noise on the unit-variance latents

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SpectralCodecConfig:
        """Raises InputError on a key that no field has."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"codec config has unknown key {unknown[0]!r}; known: {sorted(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)


class DecoderState(NamedTuple):
    """Everything a stream remembers between blocks."""

    latent_stack: tuple[Tensor, ...]
    frame_stack: tuple[Tensor, ...]
    synthesis: SynthesisState


class DecoderOutput(NamedTuple):
    """Raw heads, in the units of the training targets (log10 amplitudes, radians, shares)."""

    partial_level: Tensor  # [B, 4n, tonal_bins] log10 amplitude
    partial_advance: Tensor  # [B, 4n, tonal_bins] radians
    partial_side: Tensor  # [B, 4n, panorama_bands, 2]
    noise_level: Tensor  # [B, 16n, noise_bands] log10 amplitude
    noise_side: Tensor  # [B, 4n, panorama_bands, 2]


class SpectralCodec(nn.Module):
    """Stereo 44.1 kHz audio <-> latents at 21.5 Hz. The decoder is causal."""

    sample_rate = SAMPLE_RATE
    frame_samples = FRAME_SAMPLES
    delay_samples = synthesis.DELAY_SAMPLES

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = config.latent_channels
        self._build_bands(config)
        c = config
        features = LONG_FRAMES * (c.mid_bands + c.side_bands + c.panorama_bands)
        features += SHORT_FRAMES * c.noise_bands
        self.encoder_in = nn.Linear(features, c.encoder_dim)
        self.encoder = CausalStack(c.encoder_dim, c.encoder_depth, c.kernel, c.expansion)
        self.encoder_out = nn.Sequential(
            nn.LayerNorm(c.encoder_dim), nn.Linear(c.encoder_dim, c.latent_channels)
        )
        self.whiten = nn.BatchNorm1d(c.latent_channels, affine=False, momentum=0.02)

        self.decoder_in = nn.Linear(c.latent_channels, c.decoder_dim)
        self.decoder = CausalStack(c.decoder_dim, c.decoder_depth, c.kernel, c.expansion)
        self.decoder_norm = nn.LayerNorm(c.decoder_dim)
        self.to_frames = nn.Linear(c.decoder_dim, LONG_FRAMES * c.frame_dim)
        self.frames = CausalStack(c.frame_dim, c.frame_depth, c.kernel, c.expansion)
        self.frames_norm = nn.LayerNorm(c.frame_dim)
        self.to_partial_level = nn.Linear(c.frame_dim, c.tonal_bins)
        self.to_partial_advance = nn.Linear(c.frame_dim, c.tonal_bins)
        self.to_side = nn.Linear(c.frame_dim, 4 * c.panorama_bands)
        self.to_noise_level = nn.Linear(c.decoder_dim, SHORT_FRAMES * c.noise_bands)
        nn.init.constant_(self.to_partial_level.bias, -3.5)
        nn.init.constant_(self.to_noise_level.bias, -3.5)

    def _build_bands(self, c: SpectralCodecConfig) -> None:
        """Fixed matrices between bins and bands, and the noise table; not part of the weights."""

        def constant(name: str, value: Tensor) -> None:
            self.register_buffer(name, value, persistent=False)

        mid = spectrum.band_matrix(LONG_BINS, c.mid_bands, LONG_WINDOW, c.mid_bands * 2 // 3)
        side = spectrum.band_matrix(LONG_BINS, c.side_bands, LONG_WINDOW)
        panorama = spectrum.band_matrix(LONG_BINS, c.panorama_bands, LONG_WINDOW)
        noise = spectrum.band_matrix(SHORT_BINS, c.noise_bands, SHORT_WINDOW)
        short_panorama = spectrum.band_matrix(SHORT_BINS, c.panorama_bands, SHORT_WINDOW)
        self.mid_average: Tensor
        self.side_average: Tensor
        self.panorama_average: Tensor
        self.panorama_spread: Tensor
        self.noise_average: Tensor
        self.noise_spread: Tensor
        self.short_panorama_average: Tensor
        self.short_panorama_spread: Tensor
        self.noise_table: Tensor
        constant("mid_average", spectrum.average_matrix(mid))
        constant("side_average", spectrum.average_matrix(side))
        constant("panorama_average", spectrum.average_matrix(panorama))
        constant("panorama_spread", panorama[:, : c.tonal_bins].contiguous())
        constant("noise_average", spectrum.average_matrix(noise))
        constant("noise_spread", noise)
        constant("short_panorama_average", spectrum.average_matrix(short_panorama))
        constant("short_panorama_spread", short_panorama)
        constant("noise_table", synthesis.noise_table())

    # -- audio to latents ---------------------------------------------------------------------

    def features(self, audio: Tensor) -> Tensor:
        """audio [B, 2, 2048 T] -> log-spectral features [B, T, features], about -1..1."""
        left, right = audio.unbind(1)
        mid_side = torch.stack([(left + right) / 2, (left - right) / 2], dim=1)
        long = spectrum.frame_spectra(mid_side, LONG_WINDOW, LONG_HOP)
        power = long.abs().square()
        mid = log_level(power[:, 0] @ self.mid_average.T)
        side = log_level(power[:, 1] @ self.side_average.T)
        # 2 Re(M S*) / (|M|^2 + |S|^2) is -1 for right only, +1 for left only.
        cross = 2 * (long[:, 0] * long[:, 1].conj()).real @ self.panorama_average.T
        total = (power[:, 0] + power[:, 1]) @ self.panorama_average.T
        panorama = cross / (total + 1e-8)
        short = spectrum.frame_spectra(mid_side[:, 0], SHORT_WINDOW, SHORT_HOP)
        attack = log_level(short.abs().square() @ self.noise_average.T)
        per_long = torch.cat([mid, side, panorama], dim=-1)
        frames = audio.shape[-1] // FRAME_SAMPLES
        return torch.cat(
            [
                per_long.reshape(len(audio), frames, -1),
                attack.reshape(len(audio), frames, -1),
            ],
            dim=-1,
        )

    def encode_features(self, features: Tensor) -> Tensor:
        """features [B, T, F] -> whitened latents [B, 64, T]."""
        hidden = self.encoder_in(features)
        hidden, _ = self.encoder(hidden, self.encoder.initial_state(len(hidden)))
        return self.whiten(self.encoder_out(hidden).transpose(1, 2))

    def encode(self, audio: Tensor) -> Tensor:
        """audio [B, 2, S] in -1..1 at 44.1 kHz -> latents [B, 64, S/2048], about unit variance.

        Raises InputError unless S is a positive multiple of 2048 and the audio is stereo.
        """
        if audio.dim() != 3 or audio.shape[1] != 2 or audio.shape[2] % FRAME_SAMPLES:
            raise InputError(
                f"codec input has shape {tuple(audio.shape)}; it must be [batch, 2, samples] "
                f"with samples a multiple of {FRAME_SAMPLES}"
            )
        return self.encode_features(self.features(audio))

    # -- latents to audio ---------------------------------------------------------------------

    def initial_state(self, batch: int = 1) -> DecoderState:
        """A stream's beginning."""
        weight = self.decoder_in.weight
        return DecoderState(
            self.decoder.initial_state(batch),
            self.frames.initial_state(batch),
            synthesis.initial_state(batch, self.config.tonal_bins, weight),
        )

    def heads(self, latents: Tensor, state: DecoderState) -> tuple[DecoderOutput, DecoderState]:
        """latents [B, 64, n] -> raw decoder outputs and the state with advanced convolutions."""
        c = self.config
        batch, _, count = latents.shape
        hidden = self.decoder_in(latents.transpose(1, 2))
        hidden, latent_stack = self.decoder(hidden, state.latent_stack)
        hidden = self.decoder_norm(hidden)
        noise_level = self.to_noise_level(hidden).reshape(batch, SHORT_FRAMES * count, -1)
        frames = self.to_frames(hidden).reshape(batch, LONG_FRAMES * count, c.frame_dim)
        frames, frame_stack = self.frames(frames, state.frame_stack)
        frames = self.frames_norm(frames)
        side = self.to_side(frames).reshape(batch, LONG_FRAMES * count, 2, c.panorama_bands, 2)
        output = DecoderOutput(
            self.to_partial_level(frames),
            self.to_partial_advance(frames),
            side[:, :, 0],
            noise_level,
            side[:, :, 1],
        )
        return output, DecoderState(latent_stack, frame_stack, state.synthesis)

    def parameters_of(self, output: DecoderOutput) -> SynthesisParameters:
        """Bands spread to bins, logarithms undone, ranges enforced."""
        partial_side = spread(output.partial_side, self.panorama_spread)
        noise_side = spread(output.noise_side, self.short_panorama_spread)
        noise_side = noise_side.repeat_interleave(SHORT_FRAMES // LONG_FRAMES, dim=1)
        noise_level = output.noise_level @ self.noise_spread
        return SynthesisParameters(
            partial_magnitude=amplitude(output.partial_level),
            partial_advance=output.partial_advance,
            partial_side=bounded_side(partial_side),
            noise_gain=amplitude(noise_level),
            noise_side=bounded_side(noise_side),
        )

    def decode_block(self, latents: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """latents [B, 64, n] -> audio [B, 2, 2048 n], lagging by `delay_samples`, and the state."""
        output, state = self.heads(latents, state)
        parameters = self.parameters_of(output)
        audio, after = synthesis.synthesize(parameters, state.synthesis, self.noise_table)
        return audio, DecoderState(state.latent_stack, state.frame_stack, after)

    def decode(self, latents: Tensor) -> Tensor:
        """latents [B, 64, T] -> audio [B, 2, 2048 T], aligned with what was encoded."""
        audio, state = self.decode_block(latents, self.initial_state(len(latents)))
        return torch.cat([audio[..., self.delay_samples :], synthesis.flush(state.synthesis)], -1)


def log_level(power: Tensor) -> Tensor:
    """Power -> -1 (below -80 dB) .. 1 (0 dB)."""
    return torch.log10(power + 1e-8) / 4 + 1


def amplitude(level: Tensor) -> Tensor:
    """log10 amplitude -> amplitude; -80 dB and below fade to silence, +12 dB is the top."""
    return (10.0 ** level.clamp(-6.0, 0.6) - 1e-4).clamp_min(0.0)


def spread(bands: Tensor, matrix: Tensor) -> Tensor:
    """[B, n, bands, 2] interpolated to [B, n, bins, 2]."""
    return torch.einsum("bnkc,kf->bnfc", bands, matrix)


def bounded_side(side: Tensor) -> Tensor:
    """In-phase share to -1..1 (hard left..right is +-1), decorrelated share to 0..1."""
    return torch.stack([side[..., 0].clamp(-1, 1), side[..., 1].clamp(0, 1)], dim=-1)
