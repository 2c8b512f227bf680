"""How a model is streamed: sizes, strategy, sampler."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lmdm.diffusion.samplers import SAMPLERS
from lmdm.errors import InputError

STRATEGIES = ("outpainting", "encoder-decoder", "block-causal")


@dataclass(frozen=True)
class StreamConfig:
    """Sizes in latent frames. Values out of range raise InputError.

    strategy: "block-causal" caches the context across blocks, "encoder-decoder" encodes it once a
    block, "outpainting" (the baseline) passes it through every step (dossier §1).
    window_blocks: how many blocks a target sees behind it; times block_frames it is the context.
    absent_context: what a target sees where no music has been: "empty", nothing; "zeros", silent
    frames marked as given, as LMDM's own fine-tunes are trained.
    accompaniment: the local channels are an accompaniment's mask and latents (dossier §5, jamming).
    Where there is none, silence is given: latents 0, mask 1, as in training.
    guided: keep the null row at guidance 1 as well. Without it the null row comes when guidance
    leaves 1, for which the context is encoded anew.
    """

    context_frames: int = 96
    block_frames: int = 4
    window_blocks: int = 24
    strategy: str = "block-causal"
    steps: int = 4
    sampler: str = "euler"
    logsnr_min: float = -6.0
    logsnr_max: float = 2.0
    absent_context: str = "empty"
    accompaniment: bool = False
    guided: bool = False

    def __post_init__(self) -> None:
        for name in ("context_frames", "block_frames", "window_blocks", "steps"):
            if getattr(self, name) < 1:
                raise InputError(f"stream config: {name} is {getattr(self, name)}, not 1 or more")
        for name, known in (
            ("strategy", STRATEGIES),
            ("sampler", SAMPLERS),
            ("absent_context", ("empty", "zeros")),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"stream config: {name} is {getattr(self, name)!r}; known: {', '.join(known)}"
                )
        window = self.window_blocks * self.block_frames
        if self.strategy == "block-causal" and window != self.context_frames:
            raise InputError(
                f"stream config: context_frames is {self.context_frames}, but window_blocks x "
                f"block_frames is {window}; a block-causal stream needs them equal"
            )
        if self.logsnr_min >= self.logsnr_max:
            raise InputError("stream config: logsnr_min must be below logsnr_max")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StreamConfig:
        """Raises InputError on a key that no field has."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(
                f"stream config has unknown key {unknown[0]!r}; known: {sorted(known)}"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)
