"""What a codec training can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmdm.codec.oobleck import OobleckConfig
from lmdm.codec.spectral import SpectralCodecConfig
from lmdm.errors import InputError
from training.config import check_range
from training.engine import INFINITE, EngineConfig, OptimizerConfig


@dataclass(frozen=True)
class LossWeights:
    """What each term counts for; 0 leaves it out. Oobleck's are stable-audio-tools' own.

    stft: multi-resolution STFT of left, right, sum and difference. spectral: the sines-plus-noise
    terms, of the spectral codec alone. kl: of the VAE bottleneck, of Oobleck alone.
    """

    stft: float = 1.0
    adversarial: float = 0.1
    feature_matching: float = 5.0
    kl: float = 1e-4
    spectral: float = 1.0

    def __post_init__(self) -> None:
        names = ("stft", "adversarial", "feature_matching", "kl", "spectral")
        check_range(self, 0, INFINITE, names, "weights.")


@dataclass(frozen=True)
class CodecDiscriminatorConfig:
    """Complex STFT discriminators of several resolutions (EnCodec, arXiv 2210.13438).

    after: steps before they join in, while the codec learns to make sound at all.
    """

    sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    filters: int = 32
    after: int = 0
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(3e-4, 0.8, 0.99, 0.0, warmup_steps=100)
    )


@dataclass(frozen=True)
class CodecConfig:
    """kind: a codec with fresh weights; or model: begin from that model's codec.

    freeze_encoder: only the decoder learns, so latents that there are stay what they are.
    frames: latent frames of a segment.
    """

    audio: str = ""
    cache: str = ""  # decoded copies of the audio; "": beside the run
    model: str = ""
    kind: Literal["oobleck", "spectral"] = "oobleck"
    frames: int = 16
    freeze_encoder: bool = False
    ema: float = 0.0
    oobleck: OobleckConfig = field(default_factory=OobleckConfig)
    spectral: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    weights: LossWeights = field(default_factory=LossWeights)
    discriminator: CodecDiscriminatorConfig = field(default_factory=CodecDiscriminatorConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(1.5e-4, 0.8, 0.99, 0.01, warmup_steps=200)
    )
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        check_range(self, 2, INFINITE, ("frames",))
        check_range(self, 0, 1, ("ema",))
        if not self.audio:
            raise InputError("config key 'audio' is missing: a folder of music")
        if self.freeze_encoder and not self.model:
            raise InputError("config key 'freeze_encoder' needs 'model', whose encoder is kept")
