"""What WorldKV needs of a world model: a few names, so that any block-causal one can be driven."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, runtime_checkable

from torch import Tensor

from lmdm.dit.layers import KeysValues
from lmdm.errors import InputError


@runtime_checkable
class ChunkModel(Protocol):
    """A block-causal video model that generates chunk after chunk and hands out its K/V.

    chunk_frames: latent frames a chunk. frame_tokens: tokens a frame. layers: attention layers
    with K/V. keys_are_rotated: whether keys come after RoPE; only then do moved keys need
    correcting. A model with classifier-free guidance needs one bank for either pass: make it one
    batch of two rows.
    """

    chunk_frames: int
    frame_tokens: int
    layers: int
    keys_are_rotated: bool

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of one chunk of latents [B, C, chunk_frames, H, W]."""

    def poses(self) -> Tensor:
        """Camera-to-world matrices [frames, 4, 4] of the trajectory."""

    def encode_chunk(
        self, x: Tensor, t: float, chunk: int, past: list[KeysValues] | None
    ) -> tuple[Tensor, list[KeysValues]]:
        """Velocity of chunk number `chunk` at time t, and each layer's fresh keys and values.

        past: each layer's keys and values [B, heads, M, head_dim] that it may see besides itself;
        None for none.
        """

    def moved(self, keys: Tensor, frames: float) -> Tensor:
        """Keys as if their tokens stood `frames` later: RoPE on the time channels only."""

    def picture(self, latents: Tensor) -> Tensor:
        """Latents [C, T, H, W] -> video [3, T, h, w] in -1..1."""


def plugin(name: str, trajectory: Tensor, batch: int) -> ChunkModel:
    """The model that `build(poses, batch)` of an importable module gives.

    Raises:
        InputError: there is no such module, or what it builds is no `ChunkModel`.
    """
    try:
        build = import_module(name).build
    except (ImportError, AttributeError) as problem:
        raise InputError(
            f"the plugin {name} cannot be used: {problem}; it must be an importable module with "
            "build(poses, batch)"
        ) from None
    model = build(trajectory, batch)
    if not isinstance(model, ChunkModel):
        missing = [each for each in _NAMES if not hasattr(model, each)]
        raise InputError(
            f"what {name} builds lacks {', '.join(missing)}: it is no block-causal chunk model. "
            "A bidirectional model has no keys and values to keep"
        )
    return model


_NAMES = (
    "chunk_frames", "frame_tokens", "layers", "keys_are_rotated", "chunk_shape", "poses",
    "encode_chunk", "moved", "picture",
)  # fmt: skip
