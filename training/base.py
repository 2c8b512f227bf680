"""The model that a training begins from: network, codec, words, controls, stream sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmdm import checkpoints
from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.numbers import Conditioner
from lmdm.conditioning.text import MiniLMTextEncoder, TextEncoder
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.formats.foreign import projection_of
from lmdm.stream.config import StreamConfig
from training.data.shards import Manifest
from training.data.sound import codec_hash
from training.finetune.config import NetworkConfig
from training.finetune.stem import with_stem


@dataclass(frozen=True)
class Base:
    """What a trainer starts from and what an exported model folder needs beside the network."""

    dit: DiT
    codec: Any
    codec_sha256: str
    conditioning: LocalConditioning | None
    text_encoder: TextEncoder | None
    stream: StreamConfig
    text: dict[str, Any] | None  # config.json's entry
    sha256: str  # of the weights it began from
    global_condition: Tensor | None = None
    conditioner: Conditioner | None = None
    projection: nn.Linear | None = None  # after the text encoder

    @property
    def text_dim(self) -> int:
        """Channels of a text token."""
        return self.dit.config.text_dim

    def check(self, manifest: Manifest) -> None:
        """Raises InputError unless the latents are this model's codec's."""
        if manifest.facts["codec_sha256"] != self.codec_sha256:
            raise InputError(
                f"{manifest.location} was encoded by the codec of {manifest.facts['model']}, which "
                "is not this model's; encode it with --model of the model that is trained"
            )

    def save(self, folder: Path, dit: DiT, stream: StreamConfig) -> None:
        """Write a model folder that plays."""
        names = self.conditioning.names if self.conditioning else ()
        checkpoints.save(
            folder,
            dit=dit,
            codec=self.codec,
            stream_config=stream,
            controls=names,
            text=self.text,
            conditioner=self.conditioner,
            projection=self.projection,
            half=False,
        )


def load_base(
    model: str,
    controls: tuple[str, ...] | None = None,
    network: NetworkConfig | None = None,
    stem_init: Any = "zero",
    seed: int = 0,
) -> Base:
    """A model ready for training: with a stem B for its controls, or with fresh weights.

    controls: local controls; None keeps the model's own (all known ones for fresh weights).

    Raises:
        InputError: see `lmdm.checkpoints.load`.
    """
    if network is not None and network.fresh:
        return _fresh(model, controls, network, seed)
    loaded = checkpoints.load(model)
    if loaded.dit.config.objective != "rectified_flow":
        raise InputError(
            f"{model} predicts {loaded.dit.config.objective}; training is for rectified flow, as "
            "Stable Audio Open Small and the starter are"
        )
    before = loaded.conditioning
    names = controls if controls is not None else (before.names if before else ())
    after = LocalConditioning(names) if names else None
    dit = with_stem(loaded.dit, before, after, stem_init).train().requires_grad_(True)
    dit.timestep_features.weight.requires_grad_(False)  # fixed random frequencies
    return Base(
        dit=dit,
        codec=loaded.codec,
        codec_sha256=codec_hash(loaded.codec),
        conditioning=after,
        text_encoder=loaded.text_encoder,
        stream=loaded.stream_config,
        text=loaded.config.get("text"),
        sha256=loaded.sha256,
        global_condition=loaded.global_condition,
        conditioner=loaded.conditioner,
        projection=projection_of(loaded),
    )


def _fresh(model: str, controls: tuple[str, ...] | None, network: NetworkConfig, seed: int) -> Base:
    """Fresh weights around a model's codec; its words are MiniLM's."""
    codec = checkpoints.load_codec(model)[0]
    folder = checkpoints.find(model)
    described = checkpoints.read_config(folder)
    names = controls if controls is not None else tuple(described["conditioning"]["controls"])
    conditioning = LocalConditioning(names) if names else None
    config = DiTConfig(
        latent_channels=codec.latent_channels,
        dim=network.dim,
        depth=network.depth,
        heads=network.heads,
        text_dim=MiniLMTextEncoder.dim,
        global_dim=0,
        local_channels=conditioning.channels if conditioning else 0,
        feedforward_multiplier=network.feedforward_multiplier,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dit = DiT(config)
    with torch.no_grad():  # unit-length embeddings have tiny entries; start where they are heard
        first = dit.to_cond_embed[0]
        assert isinstance(first, nn.Linear)
        first.weight.mul_(math.sqrt(MiniLMTextEncoder.dim))
    return Base(
        dit=dit,
        codec=codec,
        codec_sha256=codec_hash(codec),
        conditioning=conditioning,
        text_encoder=MiniLMTextEncoder(folder / "tokenizer.json"),
        stream=StreamConfig.from_dict(dict(described["stream"])),
        text=dict(checkpoints.MINILM),
        sha256="",
    )


def resized(
    stream: StreamConfig, strategy: str, context: int, block: int, absent: str
) -> StreamConfig:
    """The stream of a training's sizes; 0 and "" keep what was there.

    Raises:
        InputError: a context that is no whole number of blocks.
    """
    context, block = context or stream.context_frames, block or stream.block_frames
    if context % block:
        raise InputError(
            f"config key 'context_frames' is {context}; it must be a multiple of 'block_frames', "
            f"{block}"
        )
    return replace(
        stream,
        strategy="block-causal" if strategy == "parallel-blocks" else strategy,
        context_frames=context,
        block_frames=block,
        window_blocks=context // block,
        absent_context=absent or stream.absent_context,
    )
