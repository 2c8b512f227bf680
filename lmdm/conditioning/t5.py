"""Text through T5, with the number tokens that Stable Audio's cross-attention reads beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.conditioning.text import CACHED_PROMPTS, Array
from lmdm.errors import InputError


class T5TextEncoder:
    """Tokens of T5's encoder, padded with zeros to a fixed length, then the numbers' tokens.

    T5 comes through transformers, from the first of `sources` that has it: folders, or names of
    the hub. It is loaded at the first prompt. The last prompts are kept.
    """

    def __init__(
        self,
        sources: Sequence[str | Path],
        length: int,
        dim: int,
        projection: nn.Linear | None = None,
        before: Sequence[Tensor] = (),
        after: Sequence[Tensor] = (),
    ) -> None:
        """length: tokens of text. before, after: tokens [1, dim] around them."""
        self.dim = dim
        self._sources, self._length, self.projection = tuple(sources), length, projection
        self._before, self._after = tuple(before), tuple(after)
        self._loaded: tuple[Any, Any] | None = None
        self.encode = lru_cache(CACHED_PROMPTS)(self._encode)

    @property
    def tokens(self) -> int:
        """Tokens that `encode` gives."""
        return self._length + len(self._before) + len(self._after)

    @torch.inference_mode()
    def _encode(self, text: str) -> Array:
        tokens = np.zeros((self.tokens, self.dim), np.float32)
        if text.strip():
            parts = [*self._before, self._words(text), *self._after]
            tokens = torch.cat([part.float().cpu() for part in parts]).numpy()
        tokens.setflags(write=False)  # shared by every caller through the cache
        return tokens

    def _words(self, text: str) -> Tensor:
        """[length, dim]; padding is zero, after the projection as in the reference."""
        tokenizer, network = self._load()
        given = tokenizer(
            text,
            truncation=True,
            max_length=self._length,
            padding="max_length",
            return_tensors="pt",
        )
        mask = given["attention_mask"]
        hidden = network(input_ids=given["input_ids"], attention_mask=mask).last_hidden_state
        if self.projection is not None:
            hidden = self.projection(hidden.to(self.projection.weight))
        if hidden.shape[-1] != self.dim:
            raise InputError(
                f"the text encoder {self._sources[0]} gives {hidden.shape[-1]} channels, but the "
                f"model wants {self.dim}"
            )
        return (hidden * mask[..., None])[0]

    def _load(self) -> tuple[Any, Any]:
        """The tokenizer and the network; imports and reads them once."""
        if self._loaded is None:
            try:
                from transformers import AutoTokenizer, T5EncoderModel
            except ImportError:
                raise InputError(
                    "prompts need transformers here: pip install 'lmdm-live[stable-audio]'"
                ) from None
            problems = []
            for source in self._sources:
                try:
                    tokenizer, network = _read(source, AutoTokenizer, T5EncoderModel)
                except (OSError, ValueError) as problem:
                    problems.append(str(problem).splitlines()[0])
                    continue
                self._loaded = tokenizer, network.float().eval().requires_grad_(False)
                return self._loaded
            names = " or ".join(str(source) for source in self._sources)
            raise InputError(
                f"the text encoder {names} cannot be loaded ({problems[-1]}); save it as a folder "
                f"{self._sources[0]} or play without prompts"
            )
        return self._loaded


def _read(source: str | Path, tokenizers: Any, networks: Any) -> tuple[Any, Any]:
    """From a folder that holds both, or text_encoder/ and tokenizer/ as diffusers has them."""
    if isinstance(source, str):
        return tokenizers.from_pretrained(source), networks.from_pretrained(
            source, use_safetensors=True
        )
    if not source.is_dir():
        raise OSError(f"there is no folder {source}")
    split = (source / "tokenizer").is_dir() and (source / "text_encoder").is_dir()
    words, network = (source / "tokenizer", source / "text_encoder") if split else (source, source)
    return (
        tokenizers.from_pretrained(words, local_files_only=True),
        networks.from_pretrained(network, local_files_only=True, use_safetensors=True),
    )


def seconds(names: Sequence[str], lows: Mapping[str, float], window: float) -> dict[str, float]:
    """What a stream says of itself: it starts at 0 s and lasts a window; other numbers are low."""
    known = {"seconds_start": 0.0, "seconds_total": window}
    return {name: known.get(name, lows[name]) for name in names}
