"""Oobleck in a stream: latents to sound, and sound to latents, piece by piece.

The decoder's output depends on ten frames before and after (dossier §5). Held back by all of them,
a stream gives what one pass gives. Held back by fewer, it decodes the tail as if nothing followed,
decodes it again when something has, and joins the two where the first was given out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lmdm.codec.oobleck import DILATIONS, Oobleck, OobleckConfig
from lmdm.codec.pipeline import States, Step, StepState, advance, initial_states

REACH = 3 * sum(DILATIONS)  # samples on either side that a block's residual units hear
FADE_SECONDS = 0.03


def decoder_steps(decoder: nn.Module, config: OobleckConfig) -> list[Step]:
    """The decoder as a pipeline, a block a step.

    Sample o of a block's transposed convolution hears inputs (o + p - 2s + 1)/s to (o + p)/s, where
    s is the stride and p the padding; nearest upsampling hears samples o - s + 1 to o + s.
    """
    first, *blocks, activation, convolution, limit = decoder.layers  # type: ignore[misc]
    steps = [Step(first, 3, 3)]
    for block, stride in zip(blocks, reversed(config.decoder_strides), strict=True):
        padding = -(-stride // 2)
        left = REACH + (stride if config.nearest_upsample else 2 * stride - 1 - padding)
        right = REACH + stride - 1 + (stride if config.nearest_upsample else padding)
        steps.append(Step(block, -(-left // stride), right // stride, rate=stride))
    return [*steps, Step(nn.Sequential(activation, convolution, limit), 3, 3)]


def encoder_steps(encoder: nn.Module, config: OobleckConfig) -> list[Step]:
    """The encoder as a pipeline, a block a step."""
    first, *blocks, activation, convolution = encoder.layers  # type: ignore[misc]
    steps = [Step(first, 3, 3)]
    for block, stride in zip(blocks, config.encoder_strides, strict=True):
        padding = -(-stride // 2)
        left, right = REACH + padding, REACH + stride - padding
        steps.append(Step(block, stride * -(-left // stride), right, unit=stride))
    return [*steps, Step(nn.Sequential(activation, convolution), 1, 1)]


def look_ahead(steps: list[Step]) -> int:
    """Samples of audio by which a pipeline's output lags behind its input."""
    rates = [1]  # inputs of each step, and outputs of the last, a latent frame or a sample
    for step in steps:
        rates.append(rates[-1] * step.rate)
    down = math.prod(step.unit for step in steps)
    here, lag = (1 if down > 1 else rates[-1]), 0
    for step in steps:
        lag += step.right * here
        here = here * step.unit // step.rate
    return lag


class DecoderState(NamedTuple):
    """What a stream remembers between blocks. Positions count samples from the stream's start."""

    steps: States
    frames: int  # latents heard
    certain: int  # position up to which the sound no longer depends on what follows
    given: int  # position up to which it was given out
    expected: Tensor  # [2, fade] what followed there when no more was known


class OobleckStreamingDecoder:
    """Decodes latents as they come. `snapshot` and `restore` are exact and cheap.

    The first call gives `delay_samples` less than its latents last, or as much less as there is;
    the rest follows with later calls, or with `flush`.
    """

    def __init__(
        self, codec: Oobleck, hold_back: int | None = None, decoder: nn.Module | None = None
    ) -> None:
        """hold_back: frames that the sound lags behind the latents; None: as many as it depends on.

        decoder: a faster twin of the codec's decoder, if there is one.
        """
        self.codec = codec
        self._steps = decoder_steps(decoder or codec.decoder, codec.config)
        lag = look_ahead(self._steps)
        asked = lag if hold_back is None else hold_back * codec.frame_samples
        self.delay_samples = min(asked, lag)
        self._certain_only = self.delay_samples == lag
        self._fade = min(round(FADE_SECONDS * codec.sample_rate), self.delay_samples)
        weights = (decoder or codec.decoder).state_dict().values()
        self._dtype = next(each.dtype for each in weights if each.is_floating_point())
        self._silence = next(codec.parameters()).new_zeros(codec.config.decoder_outputs, 0)
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._state = DecoderState(initial_states(self._steps), 0, 0, 0, self._silence)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """latents [C, n] -> audio [2, m], float32."""
        state = self._state
        frames = state.frames + latents.shape[1]
        prepared = self.codec.prepared(latents[None]).to(self._dtype)
        found, steps = advance(self._steps, state.steps, prepared)
        sound = self._sound(found)
        certain = state.certain + sound.shape[1]
        if not self._certain_only:
            tail, _ = advance(self._steps, steps, None, last=True)
            sound = torch.cat([sound, self._sound(tail)], dim=1)
        until = max(state.given, frames * self.codec.frame_samples - self.delay_samples)
        known = sound[:, state.given - state.certain :]
        audio = _joined(state.expected.to(known), known)[:, : until - state.given]
        expected = sound[:, until - state.certain :][:, : self._fade]
        self._state = DecoderState(steps, frames, certain, until, expected)
        return self._finished(audio)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """The held-back end of the stream [2, m]."""
        state = self._state
        rest, _ = advance(self._steps, state.steps, None, last=True)
        known = self._sound(rest)[:, state.given - state.certain :]
        return self._finished(_joined(state.expected.to(known), known))

    def snapshot(self) -> DecoderState:
        """The state after the last decoded block. Nothing is copied: states are never mutated."""
        return self._state

    def restore(self, snapshot: DecoderState) -> None:
        """Continue from a snapshot as if nothing had been decoded since."""
        steps = (
            StepState(*(None if each is None else each.to(self._dtype) for each in step))
            for step in snapshot.steps
        )
        self._state = snapshot._replace(steps=tuple(steps))

    def _sound(self, found: Tensor | None) -> Tensor:
        """[1, 2, n] -> [2, n]; nothing where nothing was found."""
        return self._silence if found is None else found[0].to(self._silence)

    def _finished(self, audio: Tensor) -> Tensor:
        audio = self.codec.finished(audio).float()
        return audio if len(audio) == 2 else audio[:1].expand(2, -1).contiguous()


class OobleckStreamingEncoder:
    """Encodes live sound as it comes: the same latents as one pass, some frames later."""

    def __init__(self, codec: Oobleck) -> None:
        self.codec = codec
        self._steps = encoder_steps(codec.encoder, codec.config)
        self.delay_frames = -(-look_ahead(self._steps) // codec.frame_samples)
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._state = initial_states(self._steps)

    @torch.inference_mode()
    def encode(self, audio: Tensor) -> Tensor:
        """audio [2, n], any n -> the latents [C, m] that are certain by now; m may be 0."""
        found, self._state = advance(self._steps, self._state, audio[None])
        if found is None:
            return audio.new_zeros(self.codec.latent_channels, 0)
        return self.codec.latents_of(found)[0]

    @torch.inference_mode()
    def newest(self) -> Tensor:
        """The latents [C, m] of sound whose own are not certain yet, as if silence followed.

        For a model that will not wait; they are less exact the nearer the end they are.
        """
        found, _ = advance(self._steps, self._state, None, last=True)
        if found is None:
            return next(self.codec.parameters()).new_zeros(self.codec.latent_channels, 0)
        return self.codec.latents_of(found)[0]

    def snapshot(self) -> States:
        """The state after the newest sound; nothing is copied."""
        return self._state

    def restore(self, snapshot: States) -> None:
        """Go on from a snapshot exactly."""
        self._state = snapshot


def _joined(expected: Tensor, audio: Tensor) -> Tensor:
    """A crossfade from what was expected to what came, over as many samples as were expected.

    sin² and cos²: both are the same sound but for a small error, so amplitudes must sum to 1. (The
    equal-power law sin, cos is for sounds that differ; here it would add 3 dB in the middle.)
    """
    count = min(expected.shape[1], audio.shape[1])
    if count == 0:
        return audio
    turn = torch.arange(1, count + 1, device=audio.device, dtype=torch.float32) / (count + 1)
    new = torch.sin(turn * math.pi / 2).square().to(audio)
    faded = torch.lerp(expected[:, :count], audio[:, :count], new)
    return torch.cat([faded, audio[:, count:]], dim=1)
