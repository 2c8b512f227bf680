"""Endless latents, block after block: context and conditions in, one block out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.samplers import sample
from lmdm.diffusion.schedule import logsnr_timesteps
from lmdm.dit.layers import KeysValues
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import BlockConditions, Context
from lmdm.stream.strategies import (
    BlockCausalNetwork,
    Network,
    Rows,
    encoder_decoder_network,
    outpainting_network,
)

__all__ = ["BlockConditions", "BlockStream", "StreamSnapshot"]


@dataclass(frozen=True)
class StreamSnapshot:
    """A stream's whole state between two blocks. Holds references; nothing is copied."""

    context: Context
    seed: int
    block: int
    text: tuple[Tensor | None, Tensor | None]


class BlockStream:
    """Generates one block after another.

    The noise of block n is drawn from a generator seeded by (seed, n), so a stream that is restored
    goes on as if nothing had happened, and equal seeds and conditions give equal latents. Gradients
    flow if the caller lets them: nothing here turns them off.
    """

    def __init__(
        self,
        dit: DiT,
        config: StreamConfig,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        weight = dit.transformer.project_in.weight
        self.dit, self.config = dit, config
        self.device = torch.device(device) if device is not None else weight.device
        self.dtype = dtype or weight.dtype
        self.seed, self.block = seed, 0
        self._generator = torch.Generator()
        self._text: tuple[Tensor | None, Tensor | None] = (None, None)
        self._text_keys_values: list[KeysValues] | None = None
        self.context = self._no_context()

    # -- generation ---------------------------------------------------------------------------

    def next_block(self, conditions: BlockConditions, steps: int | None = None) -> Tensor:
        """The next block of latents [C, o]; it becomes the newest part of the context.

        steps overrides the configured number of denoising steps for this block.
        """
        rows = self._rows(conditions)
        self._generator.manual_seed((self.seed * 1_000_003 + self.block) % 2**63)
        noise = self._noise(self.config.block_frames)
        network = self._network(rows)
        timesteps = logsnr_timesteps(
            steps or self.config.steps, self.config.logsnr_min, self.config.logsnr_max
        ).tolist()
        latents = sample(
            network,
            noise[None],
            timesteps,
            self.config.sampler,
            conditions.guidance,
            self._generator,
        )[0]
        context = self.context
        if isinstance(network, BlockCausalNetwork):
            context = Context(context.latents, context.local, network.cache)
        self.context = context.extended(latents, rows.local[0], self.config.context_frames)
        self.block += 1
        return latents

    def _network(self, rows: Rows) -> Network:
        dit, config, context = self.dit, self.config, self.context
        if config.strategy == "block-causal":
            return BlockCausalNetwork(dit, config, context, rows)
        if config.strategy == "encoder-decoder":
            return encoder_decoder_network(dit, config, context, rows)[0]
        return outpainting_network(dit, config, context, rows, self._noise(context.frames))

    def _noise(self, frames: int) -> Tensor:
        """Gaussian [C, frames], drawn on the CPU so that every device sees the same."""
        shape = (self.dit.config.latent_channels, frames)
        return torch.randn(shape, generator=self._generator).to(self.device, self.dtype)

    # -- conditions ---------------------------------------------------------------------------

    def _rows(self, conditions: BlockConditions) -> Rows:
        """The conditional row and, in a guided stream, the unconditional one."""
        count = 2 if self.config.guided else 1
        channels, frames = self.dit.config.local_channels, self.config.block_frames
        local = torch.zeros(count, channels, frames, device=self.device, dtype=self.dtype)
        if conditions.local is not None:
            if conditions.local.shape != (channels, frames):
                raise InputError(
                    f"local conditions have shape {tuple(conditions.local.shape)}; this model "
                    f"wants {(channels, frames)}"
                )
            local[0] = conditions.local
        global_condition = conditions.global_condition
        if global_condition is not None:
            global_condition = global_condition.to(self.device, self.dtype)[None]
        return Rows(self._text_rows(conditions), local, global_condition)

    def _text_rows(self, conditions: BlockConditions) -> list[KeysValues]:
        """Text keys and values of every row, computed once a prompt.

        When the prompt changes, cached context that heard the old one is dropped (dossier §2.6).
        """
        wanted = (conditions.text_tokens, conditions.negative_text_tokens)
        if self._text_keys_values is None or not same_text(wanted, self._text):
            if not same_text(wanted, self._text):
                self.context = Context(self.context.latents, self.context.local)
            present, negative = wanted
            like = present if present is not None else negative
            null = torch.zeros(1 if like is None else len(like), self.dit.config.text_dim)
            rows = [null if present is None else present]
            if self.config.guided:
                rows.append(null if negative is None else negative)
            tokens = torch.stack([row.to(self.device, self.dtype) for row in rows])
            self._text_keys_values = self.dit.text_keys_values(tokens)
            self._text = wanted
        return self._text_keys_values

    # -- state --------------------------------------------------------------------------------

    def prime(self, latents: Tensor, local: Tensor | None = None) -> None:
        """Let the music go on from real latents [C, n]; whole blocks from the end are used."""
        whole = min(latents.shape[1], self.config.context_frames)
        whole -= whole % self.config.block_frames
        if local is None:
            local = latents.new_zeros(self.dit.config.local_channels, latents.shape[1])
        start = latents.shape[1] - whole
        self.context = Context(
            latents[:, start:].to(self.device, self.dtype),
            local[:, start:].to(self.device, self.dtype),
        )

    def drop_context(self, frames: int) -> None:
        """Forget the oldest frames (rounded up to whole blocks); more than there are forgets all."""
        block = self.config.block_frames
        self.context = self.context.without_oldest(min(-(-frames // block) * block, self.context.frames))

    def reset(self) -> None:
        """Forget the whole context. Seed and block count go on."""
        self.context = self._no_context()

    def reseed(self, seed: int) -> None:
        """Other noise from the next block on."""
        self.seed = seed

    def _no_context(self) -> Context:
        like = torch.empty(0, device=self.device, dtype=self.dtype)
        return Context(
            like.new_zeros(self.dit.config.latent_channels, 0),
            like.new_zeros(self.dit.config.local_channels, 0),
        )

    def snapshot(self) -> StreamSnapshot:
        """The state after the newest block."""
        return StreamSnapshot(self.context, self.seed, self.block, self._text)

    def restore(self, snapshot: StreamSnapshot) -> None:
        """Go on from a snapshot exactly."""
        self.context, self.seed, self.block = snapshot.context, snapshot.seed, snapshot.block
        if not same_text(snapshot.text, self._text):
            self._text, self._text_keys_values = snapshot.text, None


def same_text(
    one: tuple[Tensor | None, Tensor | None], other: tuple[Tensor | None, Tensor | None]
) -> bool:
    """Whether two (prompt, negative prompt) pairs hold the same tokens."""
    return all(
        a is b or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one, other, strict=True)
    )
