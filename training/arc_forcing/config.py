"""What ARC-Forcing can be told. Defaults are the paper's and its release's, scaled to the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmdm.errors import InputError
from training.config import check_range
from training.data.examples import DropoutConfig
from training.engine import INFINITE, EngineConfig, OptimizerConfig

Levels = Literal["logsnr-uniform", "logit-normal", "truncated-logit-normal"]


@dataclass(frozen=True)
class RolloutConfig:
    """The stream that is trained. 0 and "" keep the model's own.

    Each block draws its number of steps from fewest_steps..most_steps (0: grid_steps). grid: "own",
    each number has its own schedule, as it is played; "first", it takes the first points of the
    schedule of grid_steps, as the release does.
    """

    blocks: int = 12
    strategy: Literal["", "encoder-decoder", "block-causal", "outpainting"] = ""
    context_frames: int = 0
    block_frames: int = 0
    grid_steps: int = 0
    fewest_steps: int = 1
    most_steps: int = 0
    grid: Literal["own", "first"] = "own"
    no_context: float = 0.25  # share of rows that begin without context
    less_context: float = 0.1  # share of rows that begin without their oldest blocks

    def __post_init__(self) -> None:
        check_range(self, 1, INFINITE, ("blocks", "fewest_steps"), "rollout.")
        names = ("context_frames", "block_frames", "grid_steps", "most_steps")
        check_range(self, 0, INFINITE, names, "rollout.")
        check_range(self, 0, 1, ("no_context", "less_context"), "rollout.")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The judge: a bidirectional backbone up to `layer`, and a head.

    layer: index of the last layer that is run, three quarters of the depth by default (the
    release's 12 of 16).

    warmup_steps: steps of plain bidirectional diffusion training at rollout length, before the
    game begins. contrastive: weight of the loss that tells a real sound's own conditions from
    another's. r1, r2: weights of the finite-difference gradient penalties on real and on generated
    latents, with a step of penalty_sigma.
    """

    model: str = ""  # whose backbone; "" is the trained model's own
    layer: int = 0
    head_dim: int = 128
    levels: Levels = "logsnr-uniform"
    contrastive: float = 1.0
    r1: float = 0.0
    r2: float = 0.0
    penalty_sigma: float = 0.05
    warmup_steps: int = 200
    warmup_levels: Levels = "truncated-logit-normal"
    warmup: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(2e-4, 0.9, 0.95, 0.01, warmup_steps=20)
    )
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(1e-6, 0.9, 0.95, 0.01, warmup_steps=0)
    )

    def __post_init__(self) -> None:
        names = ("layer", "contrastive", "r1", "r2", "warmup_steps")
        check_range(self, 0, INFINITE, names, "discriminator.")
        check_range(self, 8, INFINITE, ("head_dim",), "discriminator.")
        check_range(self, 1e-6, INFINITE, ("penalty_sigma",), "discriminator.")


@dataclass(frozen=True)
class ArcForcingConfig:
    """Stage 2. Even steps train the discriminator, odd ones the generator."""

    model: str = "starter"
    latents: str = ""
    streamed: bool = False
    ema: float = 0.0
    steps_played: int = 0  # of the exported model; 0: grid_steps
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    dropout: DropoutConfig = field(default_factory=lambda: DropoutConfig(0.0, 0.0, 1.0))
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(1e-6, 0.9, 0.95, 0.01, warmup_steps=0)
    )
    engine: EngineConfig = field(default_factory=lambda: EngineConfig(batch_size=8, microbatch=8))

    def __post_init__(self) -> None:
        check_range(self, 0, 1, ("ema",))
        if not self.latents:
            raise InputError("config key 'latents' is missing: the folder that train encode wrote")
        if self.discriminator.contrastive and self.engine.batch_size < 2:
            raise InputError(
                "config key 'engine.batch_size' is 1; the contrastive loss compares rows, so give "
                "2 or more, or discriminator.contrastive=0"
            )
