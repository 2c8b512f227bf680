"""Endless latents, block after block: context and conditions in, one block out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from lmdm.diffusion.grid import logsnr_timesteps
from lmdm.diffusion.path import interpolate
from lmdm.diffusion.samplers import NEEDS_NULL, Velocities, sample
from lmdm.dit.config import DiTConfig
from lmdm.dit.layers import KeysValues
from lmdm.dit.model import DiT
from lmdm.dit.packed import packed
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import BlockConditions, Context
from lmdm.stream.memory import Remembered, newest_block, recalled
from lmdm.stream.prefix import settled_network
from lmdm.stream.strategies import (
    BlockCausalNetwork,
    Network,
    Rows,
    encoder_decoder_network,
    outpainting_network,
)

__all__ = ["BlockConditions", "BlockStream", "Gradients", "StreamSnapshot"]

Gradients = Literal["none", "last-step", "all"]


@dataclass(frozen=True)
class StreamSnapshot:
    """A stream's whole state between two blocks. Holds references; nothing is copied."""

    context: Context
    seed: int
    block: int
    text: tuple[Tensor | None, ...] | None


class BlockStream:
    """Generates one block after another.

    The noise of block n is drawn from a generator seeded by (seed, n), so a stream that is restored
    goes on as if nothing had happened, and equal seeds and conditions give equal latents.
    """

    def __init__(
        self,
        dit: DiT,
        config: StreamConfig,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        gradients: Gradients = "none",
    ) -> None:
        """device, dtype: of latents and conditions; by default the network's, no coarser than
        float32, since errors of small steps add up in half precision.

        gradients: "none": a stream holds no graph, however it is called, and plays the weights that
        `dit` has now, packed for speed where that can be done. "all": they flow through all steps
        and blocks. "last-step": the training rollout of ARC-Forcing (dossier §4): each block
        carries the gradient of its last denoising step alone; earlier steps, keys and values of
        text and context, and the context that a block leaves behind are constants.

        Raises:
            InputError: a strategy or sizes that this network does not allow.
        """
        check_network(dit.config, config)
        weight = dit.transformer.project_in.weight
        self.dit = packed(dit, 2 * (config.block_frames + 1)) if gradients == "none" else dit
        self.config = config
        self.device = torch.device(device) if device is not None else weight.device
        self.dtype = dtype or torch.promote_types(weight.dtype, torch.float32)
        self.gradients = gradients
        self.seed, self.block = seed, 0
        self._generator = torch.Generator()
        self._text: tuple[Tensor | None, ...] | None = None  # tokens of each row
        self._text_keys_values: list[KeysValues] | None = None
        self.context = self._no_context()

    # -- generation ---------------------------------------------------------------------------

    def next_block(
        self,
        conditions: BlockConditions,
        steps: int | None = None,
        timesteps: Sequence[float] | None = None,
        settled: Tensor | None = None,
        before_step: Callable[[], None] | None = None,
        source: Tensor | None = None,
        strength: float = 1.0,
        remembered: Remembered | None = None,
        after_step: Callable[[Tensor, float, Velocities], None] | None = None,
        towards: tuple[int, float] = (0, 0.0),
    ) -> Tensor:
        """The next block of latents [C, o]; it becomes the newest part of the context.

        steps overrides the configured number of denoising steps for this block; timesteps, falling
        from 1 to 0, the whole grid.
        settled: its first frames [C, f], f < o, where they are known already.
        source: latents [C, o] to be made anew, from time `strength` on instead of from noise (the
        grid is scaled by it; 1 leaves nothing of them).
        remembered: frames of long ago that the block hears in place of its oldest context.
        before_step is called before every pass of the network; what it raises ends the block, and
        the stream must then be restored from a snapshot.
        after_step(x, t, velocities) is shown every pass: the noisy block [1, C, o], its time, and
        the velocities that the sampler is given.
        towards: (m, share): the block's noise is turned towards that of block m by a share of the
        way, along a quarter of a circle, so it stays Gaussian.

        Raises:
            InputError: conditions whose shapes this model does not take.
        """
        if timesteps is None:
            steps = self.config.steps if steps is None else steps
            low, high = self.config.logsnr_min, self.config.logsnr_max
            timesteps = logsnr_timesteps(steps, low, high).tolist()
        if source is not None:
            timesteps = [strength * t for t in timesteps]
        with torch.no_grad() if self.gradients == "none" else nullcontext():
            latents, context = self._generate(
                conditions, timesteps, settled, before_step, after_step, source, remembered, towards
            )
        self.context = context if self.gradients == "all" else context.detached()
        self.block += 1
        return latents

    def _generate(
        self,
        conditions: BlockConditions,
        timesteps: Sequence[float],
        settled: Tensor | None,
        before_step: Callable[[], None] | None,
        after_step: Callable[[Tensor, float, Velocities], None] | None,
        source: Tensor | None,
        remembered: Remembered | None,
        towards: tuple[int, float],
    ) -> tuple[Tensor, Context]:
        """The block [C, o] and the context that ends with it."""
        config, generator = self.config, self._generator
        leaning = conditions.guidance, generator, conditions.parallel
        constant = self.gradients == "last-step"
        with torch.no_grad() if constant else nullcontext():
            rows = self._rows(conditions)
            x = self._noise_towards(*towards)[None]
            if source is not None:
                x = interpolate(source[None], x, timesteps[0])
            network = self._network(rows, remembered)
            steered = network if settled is None else settled_network(network, settled)
            if before_step is not None or after_step is not None:
                steered = _announced(steered, before_step, after_step)
            early = timesteps[:-1] if constant else timesteps
            if len(early) > 1:
                x = sample(steered, x, early, config.sampler, *leaning)
        if constant:
            x = sample(steered, x, timesteps[-2:], config.sampler, *leaning)
        latents = x[0]
        if settled is not None:  # to the last bit
            latents = torch.cat([settled, latents[:, settled.shape[1] :]], dim=1)
        context = self.context
        if isinstance(network, BlockCausalNetwork):
            context = Context(context.latents, context.local, network.cache)
        return latents, context.extended(latents, rows.local[0], config.context_frames)

    def _network(self, rows: Rows, remembered: Remembered | None) -> Network:
        dit, config, context = self.dit, self.config, self.context
        if config.strategy == "block-causal":
            recall = partial(recalled, dit, remembered=remembered)
            return BlockCausalNetwork(dit, config, context, rows, recall)
        if config.strategy == "encoder-decoder":
            return encoder_decoder_network(dit, config, context, rows)[0]
        return outpainting_network(dit, config, context, rows, self._noise(context.frames))

    def _noise_towards(self, block: int, share: float) -> Tensor:
        """The block's noise [C, o], turned by a share of the way towards another block's."""
        numbers = (self.block,) if share == 0.0 else (block, self.block)
        drawn = []
        for number in numbers:  # the own one last: the sampler goes on with its generator
            self._generator.manual_seed((self.seed * 1_000_003 + number) % 2**63)
            drawn.append(self._noise(self.config.block_frames))
        if len(drawn) == 1:
            return drawn[0]
        angle = share * math.pi / 2.0
        return math.cos(angle) * drawn[1] + math.sin(angle) * drawn[0]

    def _noise(self, frames: int) -> Tensor:
        """Gaussian [C, frames], drawn on the CPU so that every device sees the same."""
        shape = (self.dit.config.latent_channels, frames)
        return torch.randn(shape, generator=self._generator).to(self.device, self.dtype)

    # -- conditions ---------------------------------------------------------------------------

    def _rows(self, conditions: BlockConditions) -> Rows:
        """The conditional row and, where guidance needs it, the null one."""
        config, wanted = self.config, self.dit.config
        needed = conditions.guidance != 1.0 or config.sampler in NEEDS_NULL
        count = 2 if (config.guided and conditions.guided) or needed else 1
        shape = (wanted.local_channels, config.block_frames)
        local = torch.zeros(count, *shape, device=self.device, dtype=self.dtype)
        if conditions.local is not None:
            _check("local conditions", conditions.local, shape)
        local[0] = self._silence(shape[1]) if conditions.local is None else conditions.local
        global_condition = conditions.global_condition
        if global_condition is not None:
            _check("global condition", global_condition, (wanted.global_dim,))
            global_condition = global_condition.to(self.device, self.dtype)[None]
        text: tuple[Tensor | None, ...] = (conditions.text_tokens,)
        if count == 2:
            text = (conditions.text_tokens, conditions.negative_text_tokens)
        return Rows(self._text_rows(text), local, global_condition)

    def _text_rows(self, text: tuple[Tensor | None, ...]) -> list[KeysValues] | None:
        """Text keys and values of every row, computed once a prompt; None if no row has text.

        When the prompt changes, or the null row comes, cached context that heard the old ones is
        dropped (dossier §2.6); when it goes, that of the first row stays.
        """
        if self._text is None or not _same_text(text, self._text):
            cache, first = self.context.cache, (self._text or ())[:1]
            kept = cache.rows(1) if cache is not None and _same_text(text, first) else None
            self.context = Context(self.context.latents, self.context.local, kept)
            self._read_text(text)
        return self._text_keys_values

    def _read_text(self, text: tuple[Tensor | None, ...]) -> None:
        self._text, self._text_keys_values = text, None
        present = [tokens for tokens in text if tokens is not None]
        if present:
            # Zero tokens are no text: all of to_cond_embed and to_kv is without bias.
            length = max(len(tokens) for tokens in present)
            shape = (len(text), length, self.dit.config.text_dim)
            batch = torch.zeros(shape, device=self.device, dtype=self.dtype)
            for row, tokens in zip(batch, text, strict=True):
                if tokens is not None:
                    _check("text tokens", tokens, (len(tokens), self.dit.config.text_dim))
                    row[: len(tokens)] = tokens
            self._text_keys_values = self.dit.text_keys_values(batch)

    # -- state --------------------------------------------------------------------------------

    def prime(self, latents: Tensor, local: Tensor | None = None) -> None:
        """Let the music go on from real latents [C, n]; whole blocks from the end are used."""
        _check("latents", latents, (self.dit.config.latent_channels, latents.shape[-1]))
        whole = min(latents.shape[1], self.config.context_frames)
        whole -= whole % self.config.block_frames
        if local is None:
            local = self._silence(latents.shape[1])
        _check("local conditions", local, (self.dit.config.local_channels, latents.shape[1]))
        start = latents.shape[1] - whole
        self.context = self._present(
            Context(
                latents[:, start:].to(self.device, self.dtype),
                local[:, start:].to(self.device, self.dtype),
            )
        )

    def to_remember(self) -> Remembered | None:
        """Keys and values of the newest block that has been encoded; that is the one before last.

        None where the stream keeps none.
        """
        cache = self.context.cache
        return None if cache is None else newest_block(self.dit, self.config, cache)

    def replace_newest(self, latents: Tensor) -> None:
        """Other latents [C, o] in place of the newest block, which no cache has seen yet."""
        block = self.config.block_frames
        _check("latents", latents, (self.dit.config.latent_channels, block))
        if self.context.frames < block:
            raise InputError("there is no block yet whose latents could be replaced")
        joined = torch.cat([self.context.latents[:, :-block], latents], dim=1)
        self.context = replace(self.context, latents=joined)

    def hear_again(self, local: Tensor, behind: int) -> None:
        """Other local conditions [L, n] for frames of the context that end `behind` its end.

        What they say of frames before the oldest is left out. Keys and values that heard the former
        ones are dropped, so the context is encoded anew (dossier §5, jamming).
        """
        _check("local conditions", local, (self.dit.config.local_channels, local.shape[-1]))
        end = self.context.frames - behind
        first = max(0, end - local.shape[1])
        if end <= first:
            return
        heard = self.context.local.clone()
        heard[:, first:end] = local[:, local.shape[1] - (end - first) :].to(heard)
        self.context = Context(self.context.latents, heard)

    def drop_context(self, frames: int) -> None:
        """Forget the oldest frames, rounded up to whole blocks; at most all there are."""
        block = self.config.block_frames
        kept = self.context.frames - -(-frames // block) * block
        self.context = self._present(self.context.newest(max(0, kept)))

    def reset(self) -> None:
        """Forget the whole context. Seed and block count go on."""
        self.context = self._no_context()

    def reseed(self, seed: int) -> None:
        """Other noise from the next block on."""
        self.seed = seed

    def _no_context(self) -> Context:
        like = torch.empty(0, device=self.device, dtype=self.dtype)
        return self._present(
            Context(
                like.new_zeros(self.dit.config.latent_channels, 0),
                like.new_zeros(self.dit.config.local_channels, 0),
            )
        )

    def _silence(self, frames: int) -> Tensor:
        """Local conditions [L, frames] where none are given."""
        shape = (self.dit.config.local_channels, frames)
        local = torch.zeros(shape, device=self.device, dtype=self.dtype)
        if self.config.accompaniment:
            local[0] = 1.0  # an accompaniment that is silent is given all the same
        return local

    def _present(self, context: Context) -> Context:
        """What the network is to see where there is less than a whole context."""
        if self.config.absent_context == "zeros":
            missing = self.config.context_frames - context.frames
            return context.padded(self._silence(missing))
        return context

    def snapshot(self) -> StreamSnapshot:
        """The state after the newest block."""
        return StreamSnapshot(self.context, self.seed, self.block, self._text)

    def restore(self, snapshot: StreamSnapshot) -> None:
        """Go on from a snapshot exactly."""
        self.context, self.seed, self.block = snapshot.context, snapshot.seed, snapshot.block
        if snapshot.text is None:
            self._text = None
        elif self._text is None or not _same_text(snapshot.text, self._text):
            self._read_text(snapshot.text)


def check_network(dit: DiTConfig, config: StreamConfig) -> None:
    """Raises InputError unless a network of this structure can be streamed so."""
    if config.strategy != "outpainting" and not dit.routed:
        raise InputError(
            f"the strategy {config.strategy!r} needs a model with a context stem "
            "(to_input_add_embed), which fine-tuning adds; this model streams by outpainting"
        )
    if dit.prepended_dim or (dit.concatenated and not dit.inpainting):
        wanted = "prepended conditions" if dit.prepended_dim else "channels beside its latents"
        raise InputError(
            f"this model wants {wanted} that a stream has nothing to fill with: it can be loaded "
            "and called, not played"
        )
    patch = dit.patch
    if config.context_frames % patch or config.block_frames % patch:
        raise InputError(
            f"this model has {patch} frames a token, so context_frames {config.context_frames} and "
            f"block_frames {config.block_frames} must be multiples of it"
        )


def _announced(
    network: Network,
    before: Callable[[], None] | None,
    after: Callable[[Tensor, float, Velocities], None] | None,
) -> Network:
    def announced(x: Tensor, t: float) -> Velocities:
        if before is not None:
            before()
        found = network(x, t)
        if after is not None:
            after(x, t, found)
        return found

    return announced


def _same_text(one: tuple[Tensor | None, ...], other: tuple[Tensor | None, ...]) -> bool:
    """Whether the rows hold the same tokens."""
    return len(one) == len(other) and all(
        a is b or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one, other, strict=True)
    )


def _check(what: str, given: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(given.shape) != shape:
        raise InputError(f"{what}: shape {tuple(given.shape)} given, this model wants {shape}")
