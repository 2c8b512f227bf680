"""Block-by-block decoding whose pieces join into exactly what one-shot decoding gives.

decoder = streaming_decoder(codec)
audio = decoder.decode(latents)  # [C, n] -> [2, m]
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.codec import synthesis
from lmdm.codec.oobleck import Oobleck
from lmdm.codec.packed import packed_decoder
from lmdm.codec.spectral import DecoderState, SpectralCodec
from lmdm.codec.streaming_oobleck import OobleckStreamingDecoder


def streaming_decoder(
    codec: SpectralCodec | Oobleck, dtype: torch.dtype = torch.float32
) -> StreamingDecoder | OobleckStreamingDecoder:
    """The codec's own way to decode latents as they come.

    dtype: in which Oobleck computes; the starter's codec knows float32 alone.
    """
    if isinstance(codec, Oobleck):
        return OobleckStreamingDecoder(codec, decoder=packed_decoder(codec, dtype))
    return StreamingDecoder(codec)


class StreamingDecoder:
    """Decodes latents as they come. `snapshot` and `restore` are exact and cheap.

    The sound of the newest latent frame ends `delay_samples` before the frame's own end; the rest
    follows with the next call, or with `flush`.
    """

    def __init__(self, codec: SpectralCodec) -> None:
        self.codec = codec
        self.delay_samples = codec.delay_samples
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._state = self.codec.initial_state()
        self._lead_in = self.delay_samples

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """latents [64, n] -> audio [2, m]; m = 2048 n, less `delay_samples` in the first call."""
        audio, self._state = self.codec.decode_block(latents[None], self._state)
        audio = audio[0, :, self._lead_in :]
        self._lead_in = 0
        return audio

    def flush(self) -> Tensor:
        """The held-back end of the stream: [2, delay_samples]."""
        return synthesis.flush(self._state.synthesis)[0]

    def snapshot(self) -> tuple[DecoderState, int]:
        """The state after the last decoded block. Nothing is copied: states are never mutated."""
        return self._state, self._lead_in

    def restore(self, snapshot: tuple[DecoderState, int]) -> None:
        """Continue from a snapshot as if nothing had been decoded since."""
        self._state, self._lead_in = snapshot
