"""The three ways to denoise a block after a context, as pure functions (dossier §1, §2.5).

Positions: context fills slots 1..s from the right, the target stands at s+1..s+o, the global token
at 0. `rows` is the batch: the conditional row, then the unconditional one where guidance is on.
All are differentiable; the caller decides about gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.path import interpolate
from lmdm.diffusion.samplers import Velocities
from lmdm.dit.cache import KVCache
from lmdm.dit.layers import KeysValues
from lmdm.dit.masks import block_causal_context_mask
from lmdm.dit.model import DiT
from lmdm.stream.config import StreamConfig
from lmdm.stream.context import Context
from lmdm.stream.objective import network_input, velocity_of

Network = Callable[[Tensor, float], Velocities]


@dataclass(frozen=True)
class Rows:
    """Conditions of one block, one entry a row; text None is no text in any row.

    local [R, L, o]; global_condition [1, G], the same for all rows, or None.
    """

    text: list[KeysValues] | None
    local: Tensor
    global_condition: Tensor | None

    @property
    def count(self) -> int:
        """1, or 2 with guidance."""
        return len(self.local)

    def repeated(self, latents: Tensor) -> Tensor:
        """[C, n] -> the same for every row [R, C, n]."""
        return latents.expand(self.count, *latents.shape)

    def context_local(self, context: Context) -> Tensor:
        """[R, L, n]: the context's controls in the first row, none in the unconditional one."""
        local = context.local.new_zeros(self.count, *context.local.shape)
        local[0] = context.local
        return local


def split_rows(velocity: Tensor) -> Velocities:
    """[R, C, o] -> the first row and, if there is one, the second; each [1, C, o]."""
    return velocity[:1], velocity[1:] if len(velocity) > 1 else None


def frames_range(first: int, count: int, like: Tensor) -> Tensor:
    """Positions first .. first + count - 1."""
    return torch.arange(first, first + count, device=like.device)


def target_tokens(dit: DiT, x: Tensor, t: float, rows: Rows) -> Tensor:
    """Noisy target [1, C, o] at time t -> its tokens and the global token [R, o + 1, dim]."""
    z, timestep = network_input(dit.config.objective, x, t)
    token = dit.embed_global(x.new_full((1,), timestep), rows.global_condition)
    target = dit.embed_target(z.expand(rows.count, -1, -1), rows.local)
    return torch.cat([target, token.expand(rows.count, -1, -1)], dim=1)


def velocities(dit: DiT, hidden: Tensor, x: Tensor, t: float) -> Velocities:
    """Target tokens [R, o, dim] of the noisy target [1, C, o] at time t -> each row's velocity."""
    return split_rows(velocity_of(dit.config.objective, dit.project(hidden), x, t))


def target_positions(config: StreamConfig, like: Tensor) -> Tensor:
    """s+1 .. s+o, then 0 for the global token."""
    own = frames_range(config.context_frames + 1, config.block_frames, like)
    return torch.cat([own, own.new_zeros(1)])


def cached_network(dit: DiT, config: StreamConfig, cache: KVCache | None, rows: Rows) -> Network:
    """[target | global] against cached context keys: what every cached step runs."""
    rotation = dit.rotation(target_positions(config, rows.local))
    block = config.block_frames
    mask = None
    if cache is not None and cache.room != block + 1:
        cache = cache.with_room(block + 1)
    if cache is not None and cache.valid < cache.context:
        own = torch.ones(block + 1, dtype=torch.bool, device=rows.local.device)
        mask = torch.cat([cache.slots_allowed(), own]).expand(block + 1, -1)

    def network(x: Tensor, t: float) -> Velocities:
        hidden, _ = dit.transform(target_tokens(dit, x, t, rows), rotation, rows.text, mask, cache)
        return velocities(dit, hidden[:, :block], x, t)

    return network


def encode_context(
    dit: DiT, config: StreamConfig, context: Context, rows: Rows, causal: bool
) -> KVCache | None:
    """Keys and values of the whole context in one pass; None where there is no context.

    Bidirectional for encoder-decoder, block-causal otherwise. No noise and no timestep enter.
    """
    if context.frames == 0:
        return None
    tokens = dit.embed_context(rows.repeated(context.latents), rows.context_local(context))
    first = config.context_frames - context.frames + 1
    positions = frames_range(first, context.frames, tokens)
    window = config.context_frames // config.block_frames
    mask = (
        block_causal_context_mask(context.frames, config.block_frames, window) if causal else None
    )
    if mask is not None:
        mask = mask.to(tokens.device)
    _, fresh = dit.transform(tokens, positions, rows.text, mask, wanted=0)
    return KVCache.of(fresh)


def encoder_decoder_network(
    dit: DiT, config: StreamConfig, context: Context, rows: Rows
) -> tuple[Network, KVCache | None]:
    """Prefill the context bidirectionally once a block, then denoise against it (algorithm 2)."""
    cache = encode_context(dit, config, context, rows, causal=False)
    return cached_network(dit, config, cache, rows), cache


def bootstrap(dit: DiT, config: StreamConfig, context: Context, rows: Rows) -> KVCache:
    """The block-causal cache of a whole context, filled up with empty slots at the left."""
    c = dit.config
    empty = KVCache.empty(
        c.depth,
        rows.count,
        c.heads,
        config.context_frames,
        c.head_dim,
        dit.transformer.project_in.weight,
    )
    encoded = encode_context(dit, config, context, rows, causal=True)
    if encoded is None:
        return empty
    return empty.without_oldest(encoded.context, None).extended(encoded)


class BlockCausalNetwork:
    """Denoises one block; its first call also encodes the pending block (algorithm 3).

    The oldest block leaves the cache and what stays moves one block back, so that slots keep the
    positions 1..s; then one pass runs [pending | target | global]. Later calls run
    [target | global] against the finished `cache`.
    """

    def __init__(
        self,
        dit: DiT,
        config: StreamConfig,
        context: Context,
        rows: Rows,
        recall: Callable[[KVCache], KVCache] = lambda cache: cache,
    ) -> None:
        """`recall` lets the target hear another past than the one that is kept."""
        self._dit, self._config, self._rows = dit, config, rows
        self._context, self._recall = context, recall
        self._cached: Network | None = None
        self.cache: KVCache
        if context.cache is None:
            self.cache = bootstrap(dit, config, context, rows)
            self._cached = cached_network(dit, config, recall(self.cache), rows)

    def __call__(self, x: Tensor, t: float) -> Velocities:
        """Velocities at noisy target x [1, C, o] and time t."""
        if self._cached is None:
            return self._fused(x, t)
        return self._cached(x, t)

    def _fused(self, x: Tensor, t: float) -> Velocities:
        dit, config, rows, context = self._dit, self._config, self._rows, self._context
        assert context.cache is not None
        block = config.block_frames
        back = dit.rotation(torch.tensor([-block], device=x.device))
        kept = context.cache.without_oldest(block, back).with_room(2 * block + 1)
        pending_local = rows.context_local(context)[..., -block:]
        pending = dit.embed_context(rows.repeated(context.latents[:, -block:]), pending_local)
        tokens = torch.cat([pending, target_tokens(dit, x, t, rows)], dim=1)
        first = config.context_frames - block + 1
        positions = torch.cat([frames_range(first, block, x), target_positions(config, x)])
        mask = torch.ones(2 * block + 1, kept.context + 2 * block + 1, dtype=torch.bool)
        mask[:block, kept.context + block :] = False  # context never sees target or timestep
        mask = mask.to(x.device)
        mask[:, : kept.context] &= kept.slots_allowed()
        hidden, fresh = dit.transform(tokens, positions, rows.text, mask, kept, wanted=block + 1)
        self.cache = kept.after(fresh, block)
        self._cached = cached_network(dit, config, self._recall(self.cache), rows)
        return velocities(dit, hidden[:, :block], x, t)


def outpainting_network(
    dit: DiT, config: StreamConfig, context: Context, rows: Rows, noise: Tensor
) -> Network:
    """The uncached baseline: every step runs context and target bidirectionally (dossier §1).

    Context positions carry a noisy copy beside the clean one: h = A x^(k) + B x_clean.
    noise [C, n] is the context's.
    """
    if not dit.config.routed:
        return base_outpainting_network(dit, context, rows, noise)
    frames, block = context.frames, config.block_frames
    first = config.context_frames - frames + 1
    positions = torch.cat([frames_range(first, frames, noise), target_positions(config, noise)])
    rotation = dit.rotation(positions)
    clean = rows.repeated(context.latents)
    given = dit.embed_context(clean, rows.context_local(context))

    def network(x: Tensor, t: float) -> Velocities:
        noisy, _ = network_input(dit.config.objective, interpolate(clean, noise, t), t)
        past = dit.embed_target(noisy, None) + given
        tokens = torch.cat([past, target_tokens(dit, x, t, rows)], dim=1)
        hidden, _ = dit.transform(tokens, rotation, rows.text)
        return velocities(dit, hidden[:, frames : frames + block], x, t)

    return network


def base_outpainting_network(dit: DiT, context: Context, rows: Rows, noise: Tensor) -> Network:
    """Outpainting with a model that has no context stem: its own plain pass over the whole window.

    The context is given by its noisy copy alone, drawn anew along one noise as t falls, so any
    checkpoint plays on from what it hears, however it takes its globals and positions.
    """
    clean, objective = context.latents[None], dit.config.objective
    known = _given(dit, context, rows)

    def network(x: Tensor, t: float) -> Velocities:
        window = torch.cat([interpolate(clean, noise, t), x], dim=2)
        z, timestep = network_input(objective, window, t)
        output = dit.bidirectional(
            z.expand(rows.count, -1, -1), x.new_full((1,), timestep), rows.text,
            rows.global_condition, known,
        )  # fmt: skip
        own = output[:, :, context.frames :]
        return split_rows(velocity_of(objective, own, x, t))

    return network


def _given(dit: DiT, context: Context, rows: Rows) -> Tensor | None:
    """Mask and given latents [R, 1 + C, n + o], for a model that was trained to inpaint."""
    if not dit.config.inpainting:
        return None
    past = torch.cat([torch.ones_like(context.latents[:1]), context.latents])
    return F.pad(past, (0, rows.local.shape[-1])).expand(rows.count, -1, -1)
