"""A loaded model, whatever form it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmdm.codec.oobleck import Oobleck
from lmdm.codec.spectral import SpectralCodec
from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.numbers import Conditioner
from lmdm.conditioning.text import TextEncoder
from lmdm.dit.model import DiT
from lmdm.stream.config import StreamConfig

Codec = SpectralCodec | Oobleck


@dataclass(frozen=True)
class Model:
    """Everything that a session needs to play. Modules are in evaluation mode, in float32."""

    name: str
    folder: Path
    dit: DiT
    codec: Codec
    conditioning: LocalConditioning | None  # None: the model hears no local controls
    text_encoder: TextEncoder | None  # None: the model hears no text; loads at its first prompt
    stream_config: StreamConfig
    config: Mapping[str, Any]  # config.json as read, or what it would say
    sha256: str  # of the configuration and the weights
    conditioner: Conditioner | None = None  # None: the model hears no numbers
    global_condition: Tensor | None = None  # [G], the same in every block; None: the model has none
    decoder_dtype: torch.dtype = torch.float32  # in which a stream's decoder computes
    unused: tuple[str, ...] = ()  # tensors of the checkpoint that matter in training alone
