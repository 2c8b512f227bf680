"""Sizes that go together, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmdm.image.autoencoder import AutoencoderConfig
from lmdm.image.joint_dit import JointDiTConfig
from lmdm.image.run import Optimization
from lmdm.image.stage1 import Stage1
from lmdm.image.stage2 import Stage2


@dataclass(frozen=True)
class Preset:
    """Both stages as data."""

    patch: int  # pixels of the picture a token: resolution = patch * tokens a side
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    stage1: Stage1 = field(default_factory=Stage1)
    optimization1: Optimization = field(default_factory=Optimization)
    generator: JointDiTConfig = field(default_factory=JointDiTConfig)
    stage2: Stage2 = field(default_factory=Stage2)
    optimization2: Optimization = field(default_factory=Optimization)


PRESETS = {
    # an evening on a laptop's processor, pictures of 64 pixels
    "small": Preset(patch=8),
    # RAE's recipe on ImageNet at 256 pixels (dossier §2), with DecQ's eight queries; for GPUs.
    # Steps are those of 16 and 80 epochs of 1.28 M pictures.
    "paper": Preset(
        patch=16,
        autoencoder=AutoencoderConfig(decoder_dim=1152, decoder_depth=28, decoder_heads=16),
        stage1=Stage1(noise_tau=0.8, query_noise_tau=0.8, perceptual=1.0, adversarial=0.75),
        optimization1=Optimization(
            steps=40_000, batch=512, learning_rate=2e-4, warmup_steps=2500, ema=0.9978, clip=0.0
        ),
        generator=JointDiTConfig(
            dim=1152, depth=28, heads=16, head_dim=2048, head_depth=2, head_heads=16, classes=1000
        ),
        optimization2=Optimization(
            steps=100_000, batch=1024, learning_rate=2e-4, warmup_steps=50_000, ema=0.9995
        ),
    ),
}
