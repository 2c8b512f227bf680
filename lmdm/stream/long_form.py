"""The velocity of whole windows of music at one noise level: what long forms are sampled with.

A base model takes a window as it is. A streaming model was taught one block after clean context; a
window is then all of its blocks at once, each after the *estimates* of the blocks before it, in the
mask that it was trained with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.diffusion.guidance import guided
from lmdm.dit.layers import KeysValues
from lmdm.dit.masks import parallel_block_mask, parallel_block_positions
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig


class WindowVelocity:
    """Velocity of windows [k, C, F] of a piece, guided, with every window's own text.

    `clean` [C, N] is the present estimate of the clean piece, which the caller sets before every
    step; None before the first, when blocks hear no context yet.
    """

    def __init__(
        self,
        dit: DiT,
        config: StreamConfig,
        texts: list[Tensor | None],
        local: Tensor | None,
        starts: tuple[int, ...],
        guidance: float,
        global_condition: Tensor | None = None,
    ) -> None:
        """texts: a window's tokens [n, D]; local [L, N]: controls over the whole piece.

        Raises:
            InputError: a model that predicts no rectified-flow velocity.
        """
        if dit.config.objective != "rectified_flow":
            raise InputError("long forms need a rectified-flow model; this one predicts v")
        self.dit, self.config = dit, config
        self.texts, self.local, self.starts = texts, local, starts
        self.guidance, self.global_condition = guidance, global_condition
        self.clean: Tensor | None = None

    def __call__(self, x: Tensor, t: float, which: range) -> Tensor:
        """x [k, C, F] of the windows `which` at time t -> velocity [k, C, F]."""
        conditional = self._pass(x, t, which, told=True)
        if self.guidance == 1:
            return conditional
        return guided(conditional, self._pass(x, t, which, told=False), self.guidance)

    def _pass(self, x: Tensor, t: float, which: range, told: bool) -> Tensor:
        text = self._text(which, told)
        if not self.dit.config.routed:
            condition = self.global_condition
            rows = None if condition is None else condition[None].to(x).expand(len(x), -1)
            return self.dit.bidirectional(x, x.new_full((len(x),), t), text, rows)
        return self._blocks(x, t, text, self._local(x, which, told), self._context(x, which))

    def _blocks(
        self,
        x: Tensor,
        t: float,
        text: list[KeysValues] | None,
        local: Tensor | None,
        context: Tensor | None,
    ) -> Tensor:
        """All blocks at once (`parallel_block_mask`); no block hears context that is None."""
        dit, block = self.dit, self.config.block_frames
        batch, _, frames = x.shape
        blocks = frames // block
        clean = dit.embed_context(torch.zeros_like(x) if context is None else context, local)
        target = dit.embed_target(x, local).unflatten(1, (blocks, block))
        condition = None if self.global_condition is None else self.global_condition[None].to(x)
        token = dit.embed_global(x.new_full((1,), t), condition)
        token = token[:, None].expand(batch, blocks, -1, -1)
        noisy = torch.cat([target, token], dim=2).flatten(1, 2)
        window = self.config.context_frames // block
        mask = parallel_block_mask(blocks, block, window).to(x.device)
        if context is None:
            mask[frames:, :frames] = False
        positions = parallel_block_positions(blocks, block, self.config.context_frames)
        hidden, _ = dit.transform(
            torch.cat([clean, noisy], dim=1), positions.to(x.device), text, mask
        )
        hidden = hidden[:, frames:].unflatten(1, (blocks, block + 1))[:, :, :block]
        return dit.project(hidden.flatten(1, 2))

    def _text(self, which: range, told: bool) -> list[KeysValues] | None:
        """Keys and values of the windows' texts; zero tokens are no text."""
        texts = [self.texts[index] if told else None for index in which]
        longest = max((len(each) for each in texts if each is not None), default=0)
        if not longest:
            if not any(each is not None for each in self.texts):
                return None  # nobody is told anything, with guidance or without
            longest = 1
        like = self.dit.transformer.project_in.weight
        rows = like.new_zeros(len(texts), longest, self.dit.config.text_dim)
        for row, tokens in zip(rows, texts, strict=True):
            if tokens is not None:
                row[: len(tokens)] = tokens
        return self.dit.text_keys_values(rows)

    def _local(self, x: Tensor, which: range, told: bool) -> Tensor | None:
        if self.local is None:
            return None
        frames = x.shape[-1]
        cut = [self.local[:, self.starts[k] : self.starts[k] + frames] for k in which]
        rows = torch.stack(cut).to(x)
        return rows if told else torch.zeros_like(rows)

    def _context(self, x: Tensor, which: range) -> Tensor | None:
        if self.clean is None:
            return None
        frames = x.shape[-1]
        return torch.stack(
            [self.clean[:, self.starts[k] : self.starts[k] + frames] for k in which]
        ).to(x)
