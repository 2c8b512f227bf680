"""A streaming decoder that can change its precision in the middle of a stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lmdm.codec.oobleck import Oobleck
from lmdm.codec.spectral import SpectralCodec
from lmdm.codec.streaming import streaming_decoder

COARSE = torch.bfloat16


class TwoPrecisionsDecoder:
    """A codec's streaming decoder, and where that computes in float32 and could do otherwise, it
    also in bfloat16.

    Threads: none. Snapshots are those of the decoder that decoded last, and fit both.
    """

    def __init__(self, codec: SpectralCodec | Oobleck, dtype: torch.dtype) -> None:
        self._codec = codec
        self._exact: Any = streaming_decoder(codec, dtype)
        self._coarse: Any = None  # made when it is first needed
        self._playing: Any = self._exact
        self.has_coarse = isinstance(codec, Oobleck) and dtype == torch.float32
        self.delay_samples = int(self._exact.delay_samples)

    def prepare(self) -> None:
        """Packs the coarse weights now rather than when there is no time."""
        if self.has_coarse and self._coarse is None:
            self._coarse = streaming_decoder(self._codec, COARSE)

    def decode(self, latents: Tensor, coarse: bool = False) -> Tensor:
        """latents [C, n] -> audio [2, m]; `coarse` where there is another precision."""
        wanted = self._exact
        if coarse and self.has_coarse:
            self.prepare()
            wanted = self._coarse
        if wanted is not self._playing:
            wanted.restore(self._playing.snapshot())
            self._playing = wanted
        audio: Tensor = self._playing.decode(latents)
        return audio

    def reset(self) -> None:
        """Back to silence."""
        self._playing.reset()

    def snapshot(self) -> Any:
        """The state after the last decoded block."""
        return self._playing.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Goes on from a snapshot."""
        self._playing.restore(snapshot)
