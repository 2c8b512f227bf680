"""Oobleck, the autoencoder of Stable Audio: stereo audio to latent frames and back.

Names of modules are stable-audio-tools' own (dossier §7.1). Weight norm is folded when a checkpoint
is read, so every convolution here has one plain weight.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.errors import InputError

BOTTLENECKS = ("vae", "tanh", "l2_norm", "wasserstein", "none")
DILATIONS = (1, 3, 9)  # of the residual units of a block


@dataclass(frozen=True)
class OobleckConfig:
    """Structure of the codec. Defaults are those of Stable Audio Open and Open Small.

    Encoder and decoder each have their channels (times a multiple a stage), and strides, from the
    audio's side to the latents'.
    """

    latent_channels: int = 64
    sample_rate: int = 44100
    encoder_inputs: int = 2  # audio channels
    encoder_channels: int = 128
    encoder_multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    encoder_strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    encoder_outputs: int = 128  # with a "vae" bottleneck mean and scale, else the latents
    encoder_snake: bool = True  # SnakeBeta, else ELU
    decoder_inputs: int = 64
    decoder_channels: int = 128
    decoder_multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    decoder_strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    decoder_outputs: int = 2
    decoder_snake: bool = True
    nearest_upsample: bool = False  # repeat and convolve, in place of a transposed convolution
    final_tanh: bool = False
    soft_clip: bool = False  # tanh of the decoded audio
    bottleneck: str = "vae"
    tanh_scale: float = 1.0  # of bottlenecks "tanh" and "wasserstein"; 0: no tanh
    scale: float = 1.0  # what latents are divided by on their way out of the encoder
    iterate_batch: bool = False  # decode one by one: the same, but for the last bit

    def __post_init__(self) -> None:
        if self.bottleneck not in BOTTLENECKS:
            raise InputError(
                f"codec config: bottleneck is {self.bottleneck!r}; known: {', '.join(BOTTLENECKS)}"
            )
        for side in ("encoder", "decoder"):
            strides, multiples = (
                tuple(getattr(self, f"{side}_{what}")) for what in ("strides", "multiples")
            )
            object.__setattr__(self, f"{side}_strides", strides)
            object.__setattr__(self, f"{side}_multiples", multiples)
            if len(strides) != len(multiples) or not strides or min(strides + multiples) < 1:
                raise InputError(
                    f"codec config: {side} strides {list(strides)} and multiples "
                    f"{list(multiples)} must be as many, each 1 or more"
                )
        if math.prod(self.encoder_strides) != math.prod(self.decoder_strides):
            raise InputError(
                f"codec config: the encoder's frame is {math.prod(self.encoder_strides)} samples, "
                f"the decoder's {math.prod(self.decoder_strides)}"
            )

    @property
    def frame_samples(self) -> int:
        """Samples a latent frame."""
        return math.prod(self.decoder_strides)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> OobleckConfig:
        """Raises InputError on a key that no field has."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"codec config has unknown key {unknown[0]!r}; known: {sorted(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)


class Snake(nn.Module):
    """x + sin²(x e^alpha) / (e^beta + 1e-9), a learnt frequency and size a channel (BigVGAN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, n] -> [B, channels, n]."""
        size = 1.0 / (self.beta.exp() + 1e-9)
        wave = torch.sin(x * self.alpha.exp()[:, None])
        return x + size[:, None] * wave.square()  # in the reference's order, to the last bit


def activation(channels: int, snake: bool) -> nn.Module:
    """Snake or ELU."""
    return Snake(channels) if snake else nn.ELU()


def residual_unit(channels: int, dilation: int, snake: bool) -> Residual:
    """x + conv1(act(conv7(act(x))))."""
    return Residual(
        activation(channels, snake),
        nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
        activation(channels, snake),
        nn.Conv1d(channels, channels, 1),
    )


class Stage(nn.Module):
    """Layers one after another, under the name that checkpoints give them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, n] -> [B, channels', n']."""
        return self.layers(x)


class Residual(Stage):
    """Input plus output."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, n] -> [B, channels, n]."""
        return x + self.layers(x)


def upsampling(inputs: int, outputs: int, stride: int, nearest: bool) -> nn.Module:
    """`stride` times as many samples; with an odd stride the transposed form gives one fewer."""
    if nearest:
        return nn.Sequential(
            nn.Upsample(scale_factor=stride, mode="nearest"),
            nn.Conv1d(inputs, outputs, 2 * stride, padding="same", bias=False),
        )
    return nn.ConvTranspose1d(
        inputs, outputs, 2 * stride, stride=stride, padding=math.ceil(stride / 2)
    )


def encoder(c: OobleckConfig) -> Stage:
    """Audio [B, inputs, n] -> [B, outputs, n / frame]."""
    widths = [c.encoder_channels * m for m in (1, *c.encoder_multiples)]
    layers: list[nn.Module] = [nn.Conv1d(c.encoder_inputs, widths[0], 7, padding=3)]
    for index, stride in enumerate(c.encoder_strides):
        narrow, wide = widths[index], widths[index + 1]
        layers.append(
            Stage(
                *(residual_unit(narrow, dilation, c.encoder_snake) for dilation in DILATIONS),
                activation(narrow, c.encoder_snake),
                nn.Conv1d(narrow, wide, 2 * stride, stride=stride, padding=math.ceil(stride / 2)),
            )
        )
    layers += [
        activation(widths[-1], c.encoder_snake),
        nn.Conv1d(widths[-1], c.encoder_outputs, 3, padding=1),
    ]
    return Stage(*layers)


def decoder(c: OobleckConfig) -> Stage:
    """Latents [B, inputs, n] -> audio [B, outputs, n · frame]."""
    widths = [c.decoder_channels * m for m in (1, *c.decoder_multiples)]
    layers: list[nn.Module] = [nn.Conv1d(c.decoder_inputs, widths[-1], 7, padding=3)]
    for index in reversed(range(len(c.decoder_strides))):
        wide, narrow = widths[index + 1], widths[index]
        layers.append(
            Stage(
                activation(wide, c.decoder_snake),
                upsampling(wide, narrow, c.decoder_strides[index], c.nearest_upsample),
                *(residual_unit(narrow, dilation, c.decoder_snake) for dilation in DILATIONS),
            )
        )
    layers += [
        activation(widths[0], c.decoder_snake),
        nn.Conv1d(widths[0], c.decoder_outputs, 7, padding=3, bias=False),
        nn.Tanh() if c.final_tanh else nn.Identity(),
    ]
    return Stage(*layers)


class Oobleck(nn.Module):
    """Audio <-> latents. Both ways depend on some frames before and after (`streaming_oobleck`)."""

    def __init__(self, config: OobleckConfig) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = config.latent_channels
        self.sample_rate = config.sample_rate
        self.frame_samples = config.frame_samples
        self.encoder = encoder(config)
        self.decoder = decoder(config)

    def encode_parameters(self, audio: Tensor) -> Tensor:
        """audio [B, 2, S] -> what the encoder says of each frame [B, outputs, S / frame].

        With a "vae" bottleneck these are the mean and, under it, the scale (the standard deviation
        before softplus); else the latents before the bottleneck.

        Raises:
            InputError: other channels than the codec's, or less than a frame of samples.
        """
        c = self.config
        if audio.dim() != 3 or audio.shape[1] != c.encoder_inputs:
            raise InputError(
                f"codec input has shape {tuple(audio.shape)}; it must be "
                f"[batch, {c.encoder_inputs}, samples]"
            )
        if audio.shape[2] < self.frame_samples:
            raise InputError(
                f"codec input has {audio.shape[2]} samples; a frame is {self.frame_samples}"
            )
        return self.encoder(audio.to(self._dtype))

    def encode(self, audio: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """audio [B, 2, S] -> latents [B, C, S / frame]: the mean, or a sample with a generator.

        A codec of one channel hears the middle of two.
        """
        if self.config.encoder_inputs == 1 and audio.shape[1] == 2:
            audio = audio.mean(dim=1, keepdim=True)
        return self.latents_of(self.encode_parameters(audio), generator)

    def latents_of(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The bottleneck: encoder output [B, outputs, T] -> latents [B, C, T].

        "vae": mean + (softplus(scale) + 1e-4) noise, the mean without a generator; "tanh" and
        "wasserstein": s tanh(x / s); "l2_norm": frames of unit length.
        """
        c = self.config
        latents = parameters
        if c.bottleneck == "vae":
            latents, scale = parameters.chunk(2, dim=1)
            if generator is not None:
                noise = torch.randn(latents.shape, generator=generator, device=generator.device)
                latents = latents + (F.softplus(scale) + 1e-4) * noise.to(latents)
        elif c.bottleneck in ("tanh", "wasserstein") and c.tanh_scale:
            latents = torch.tanh(latents / c.tanh_scale) * c.tanh_scale
        elif c.bottleneck == "l2_norm":
            latents = F.normalize(latents, dim=1)
        return latents / c.scale

    def decode(self, latents: Tensor) -> Tensor:
        """latents [B, C, T] -> audio [B, 2, T · frame]."""
        latents = self.prepared(latents)
        pieces = latents.split(1) if self.config.iterate_batch else [latents]
        return self.finished(torch.cat([self.decoder(piece) for piece in pieces]))

    def prepared(self, latents: Tensor) -> Tensor:
        """Latents [B, C, T] as the decoder wants them."""
        latents = (latents * self.config.scale).to(self._dtype)
        return F.normalize(latents, dim=1) if self.config.bottleneck == "l2_norm" else latents

    def finished(self, audio: Tensor) -> Tensor:
        """What the decoder gave [..., n] as sound."""
        return torch.tanh(audio) if self.config.soft_clip else audio

    @property
    def _dtype(self) -> torch.dtype:
        weight = self.decoder.layers[0].weight
        assert isinstance(weight, Tensor)
        return weight.dtype
