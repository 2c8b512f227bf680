"""What a fine-tune can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lmdm.errors import InputError
from training.config import check_range
from training.data.examples import DropoutConfig
from training.engine import INFINITE, EngineConfig, OptimizerConfig

Strategy = Literal["encoder-decoder", "block-causal", "parallel-blocks", "outpainting"]


@dataclass(frozen=True)
class NetworkConfig:
    """A network with fresh weights instead of the model's own, for training from nothing."""

    fresh: bool = False
    dim: int = 320
    depth: int = 8
    heads: int = 5
    feedforward_multiplier: int = 4


@dataclass(frozen=True)
class ContextDropoutConfig:
    """Shares of rows whose context is taken away (dossier §3).

    whole: all of it. oldest: one to all of its oldest blocks (chunks in LMDM's words).
    mask, latents: that group of channels of the context stem is zeros.
    """

    whole: float = 0.2
    oldest: float = 0.3
    mask: float = 0.0
    latents: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, 0, 1, ("whole", "oldest", "mask", "latents"), "context_dropout.")


@dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapters on the layers' projections (peft); rank 0 trains all weights."""

    rank: int = 0
    alpha: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, 0, INFINITE, ("rank", "alpha", "dropout"), "lora.")


@dataclass(frozen=True)
class FinetuneConfig:
    """Stage 1. Sizes in latent frames; 0 keeps the model's own.

    strategy: "block-causal" and "encoder-decoder" train one target after its context under that
    mask; "parallel-blocks" trains every block of `frames` at once, each as the block-causal stream
    would see it; "outpainting" is the uncached baseline.
    encoder_decoder_share: share of steps that train the encoder-decoder instead.
    copies: noisy versions of each target on one encoder-decoder context.
    stem_init: the context stem B where the model has none: "zero" leaves the loaded model's output
    as it was; "copy" lets clean context enter as the model's own stem A embeds it.
    absent_context: see `StreamConfig`; "" keeps the model's own.
    context_noise: largest standard deviation of noise on clean context, so that the model forgives
    its own errors.
    """

    model: str = "starter"
    latents: str = ""
    streamed: bool = False  # read shard by shard instead of all at once
    strategy: Strategy = "block-causal"
    context_frames: int = 0
    block_frames: int = 0
    frames: int = 0  # of an example of parallel-blocks
    encoder_decoder_share: float = 0.0
    copies: int = 1
    context_noise: float = 0.0
    absent_context: Literal["", "empty", "zeros"] = ""
    controls: tuple[str, ...] | None = None  # local controls; None keeps the model's own
    divided_weight: float = 1.0  # how much oftener pieces are drawn that teach to accompany
    stem_init: Literal["zero", "copy"] = "zero"
    ema: float = 0.0  # decay of the averaged weights; 0 for none
    network: NetworkConfig = field(default_factory=NetworkConfig)
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    context_dropout: ContextDropoutConfig = field(default_factory=ContextDropoutConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        check_range(self, 0, INFINITE, ("context_frames", "block_frames", "frames"))
        check_range(self, 1, INFINITE, ("copies",))
        check_range(self, 0, 1, ("encoder_decoder_share", "ema"))
        check_range(self, 0, INFINITE, ("context_noise", "divided_weight"))
        if not self.latents:
            raise InputError("config key 'latents' is missing: the folder that train encode wrote")
