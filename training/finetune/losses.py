"""Velocity losses of stage 1: mean squared error on target frames only (dossier §3).

Everything random comes in as a tensor, so that a loss is a pure function of its arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.grid import length_shift
from lmdm.diffusion.path import interpolate, velocity
from lmdm.dit.masks import (
    block_causal_mask,
    encoder_decoder_mask,
    parallel_block_mask,
    parallel_block_positions,
)
from lmdm.dit.model import DiT
from training.data.examples import Examples


def sobol_timesteps(count: int, length: int, seed: int) -> Tensor:
    """[count] scrambled Sobol points in (0, 1), shifted for sequences of `length` frames."""
    points = torch.quasirandom.SobolEngine(1, scramble=True, seed=seed).draw(count)[:, 0]
    return length_shift(points.clamp(1e-4, 1 - 1e-4), length)


class ContextDropout(NamedTuple):
    """What is taken away of each row's context. All are bool.

    absent [B, s]: frames that are not there; no_mask, no_latents [B]: that group of the stem's
    channels is zeros.
    """

    absent: Tensor
    no_mask: Tensor
    no_latents: Tensor

    @classmethod
    def none(cls, batch: int, context: int) -> ContextDropout:
        """Nothing is."""
        whole = torch.zeros(batch, dtype=torch.bool)
        return cls(torch.zeros(batch, context, dtype=torch.bool), whole, whole)


def context_tokens(
    dit: DiT, latents: Tensor, local: Tensor, dropped: ContextDropout, zeros: bool
) -> Tensor:
    """The context through B [B, s, dim].

    zeros: absent frames are silent ones that are marked as given; else they are left to the mask.
    """
    there = torch.ones_like(latents[:, :1])
    if zeros:
        silent = dropped.absent.to(latents.device)[:, None]
        latents, local = latents.masked_fill(silent, 0.0), local.masked_fill(silent, 0.0)
    latents = latents.masked_fill(dropped.no_latents.to(latents.device)[:, None, None], 0.0)
    mask = there.masked_fill(dropped.no_mask.to(latents.device)[:, None, None], 0.0)
    return dit.embed_context(latents, local, mask)


def without_absent(mask: Tensor, absent: Tensor) -> Tensor:
    """Mask [N, N] for rows whose first keys may be absent [B, s] -> [B, 1, N, N].

    An absent frame is seen by none but itself, so that its softmax has something to look at.
    """
    hidden = F.pad(absent, (0, mask.shape[1] - absent.shape[1]))
    itself = torch.eye(len(mask), dtype=torch.bool, device=mask.device)
    return ((mask[None] & ~hidden[:, None, :]) | itself)[:, None]


def window_loss(
    dit: DiT,
    examples: Examples,
    block: int,
    t: Tensor,
    noise: Tensor,
    dropped: ContextDropout,
    strategy: str = "encoder-decoder",
    window_block: int | None = None,
    zeros: bool = False,
    context_noise: Tensor | None = None,
) -> Tensor:
    """One target block after its context; loss per row [B], over target frames only.

    examples hold context + block frames. t [B] or [B, copies]; noise [B, C, block] or
    [B, copies, C, block]: several noisy targets share one encoder-decoder context.
    strategy: "encoder-decoder" or "block-causal"; the latter's context comes in blocks of
    `window_block` frames (default: `block`). zeros: see `context_tokens`. context_noise [B, C, s]
    is added to the clean context.
    """
    latents, local, text, condition = examples
    frames = latents.shape[-1]
    context = frames - block
    t = t[:, None] if t.dim() == 1 else t
    noise = noise[:, None] if noise.dim() == 3 else noise
    copies = t.shape[1]
    past, target = latents[..., :context], latents[..., context:]
    if context_noise is not None:
        past = past + context_noise
    tokens = [context_tokens(dit, past, local[..., :context], dropped, zeros)]
    for copy in range(copies):
        own = t[:, copy]
        noisy = interpolate(target, noise[:, copy], own.view(-1, 1, 1))
        tokens += [dit.embed_target(noisy, local[..., context:]), dit.embed_global(own, condition)]
    if strategy == "encoder-decoder":
        mask = encoder_decoder_mask(context, block, copies)
    elif copies == 1:
        size = window_block or block
        mask = block_causal_mask(context, block, size, context // size)
    else:
        raise ValueError("several copies of a target are for the encoder-decoder alone")
    mask = mask.to(latents.device)
    if not zeros and bool(dropped.absent.any()):
        mask = without_absent(mask, dropped.absent.to(latents.device))
    after = torch.cat([torch.arange(context + 1, frames + 1), torch.zeros(1, dtype=torch.long)])
    positions = torch.cat([torch.arange(1, context + 1), after.repeat(copies)]).to(latents.device)
    hidden, _ = dit.transform(torch.cat(tokens, dim=1), positions, dit.text_keys_values(text), mask)
    hidden = hidden[:, context:].unflatten(1, (copies, block + 1))[:, :, :block]
    guess = dit.project(hidden.flatten(1, 2)).float().unflatten(-1, (copies, block))
    truth = torch.stack([velocity(target, noise[:, copy]) for copy in range(copies)], dim=2)
    return (guess - truth.float()).square().mean(dim=(1, 2, 3))


def outpainting_loss(
    dit: DiT,
    examples: Examples,
    block: int,
    t: Tensor,
    noise: Tensor,
    dropped: ContextDropout,
    zeros: bool = False,
) -> Tensor:
    """The baseline (dossier §1): h = A x_t over all frames, + B on context; loss per row [B].

    noise [B, C, context + block]: the context's noisy copy needs some as well.
    """
    latents, local, text, condition = examples
    context = latents.shape[-1] - block
    noisy = interpolate(latents, noise, t.view(-1, 1, 1))
    past = dit.embed_target(noisy[..., :context], None)
    past = past + context_tokens(dit, latents[..., :context], local[..., :context], dropped, zeros)
    target = dit.embed_target(noisy[..., context:], local[..., context:])
    tokens = torch.cat([past, target, dit.embed_global(t, condition)], dim=1)
    mask = None
    if not zeros and bool(dropped.absent.any()):
        whole = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool)
        mask = without_absent(whole.to(latents.device), dropped.absent.to(latents.device))
    positions = torch.cat([torch.arange(1, latents.shape[-1] + 1), torch.zeros(1).long()])
    hidden, _ = dit.transform(
        tokens, positions.to(latents.device), dit.text_keys_values(text), mask
    )
    guess = dit.project(hidden[:, context : context + block]).float()
    truth = velocity(latents, noise)[..., context:]
    return (guess - truth.float()).square().mean(dim=(1, 2))


def parallel_block_loss(
    dit: DiT,
    examples: Examples,
    block: int,
    context: int,
    t: Tensor,
    noise: Tensor,
    context_noise: Tensor | None = None,
) -> Tensor:
    """Every block of examples [B, C, T] at once, each as the block-causal stream sees it; [B].

    t [B, T / block]; noise like the latents.
    """
    latents, local, text, condition = examples
    batch, _, frames = latents.shape
    blocks = frames // block
    noisy = interpolate(latents, noise, t.repeat_interleave(block, dim=1)[:, None])
    past = latents if context_noise is None else latents + context_noise
    each = None if condition is None else condition.repeat_interleave(blocks, dim=0)
    clean = dit.embed_context(past, local)
    target = dit.embed_target(noisy, local).view(batch, blocks, block, -1)
    token = dit.embed_global(t.flatten(), each).view(batch, blocks, 1, -1)
    hidden = torch.cat([clean, torch.cat([target, token], dim=2).flatten(1, 2)], dim=1)
    hidden, _ = dit.transform(
        hidden,
        parallel_block_positions(blocks, block, context).to(latents.device),
        dit.text_keys_values(text),
        parallel_block_mask(blocks, block, context // block).to(latents.device),
    )
    hidden = hidden[:, frames:].unflatten(1, (blocks, block + 1))[:, :, :block].flatten(1, 2)
    guess = dit.project(hidden).float()
    return (guess - velocity(latents, noise).float()).square().mean(dim=(1, 2))


def bidirectional_loss(dit: DiT, examples: Examples, t: Tensor, noise: Tensor) -> Tensor:
    """The base model's own training: every frame is noisy and sees all others; loss per row [B].

    What the discriminator's backbone is warmed up with (dossier §4).
    """
    latents, local, text, condition = examples
    noisy = interpolate(latents, noise, t.view(-1, 1, 1))
    hidden = torch.cat([dit.embed_global(t, condition), dit.embed_target(noisy, local)], dim=1)
    positions = torch.arange(hidden.shape[1], device=latents.device)
    hidden, _ = dit.transform(hidden, positions, dit.text_keys_values(text))
    guess = dit.project(hidden[:, 1:]).float()
    return (guess - velocity(latents, noise).float()).square().mean(dim=(1, 2))
