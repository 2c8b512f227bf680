"""Velocity losses of a streaming diffusion model (dossier §3): target frames only.

`parallel_block_loss` trains every block of a sequence at once, each as the stream would generate
it: exactly the block-causal stream's own view (`masks.parallel_block_mask`).
`encoder_decoder_loss` trains several noisy copies of one target block on one bidirectional context.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.grid import length_shift
from lmdm.diffusion.path import interpolate, velocity
from lmdm.dit.masks import (
    encoder_decoder_mask,
    parallel_block_mask,
    parallel_block_positions,
)
from lmdm.dit.model import DiT
from training.latents import Examples


def timesteps(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Stratified uniform timesteps, shifted for the sequence length (dossier §3) [count]."""
    strata = (
        torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)
    ) / count
    return length_shift(strata.clamp(1e-4, 1 - 1e-4), length)


def disturbed_context(latents: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Context with a little noise of random strength, so that the model forgives its own errors."""
    strength = most * torch.rand(len(latents), 1, 1, generator=generator).square()
    return latents + strength * torch.randn(latents.shape, generator=generator)


def parallel_block_loss(
    dit: DiT,
    examples: Examples,
    block: int,
    context: int,
    context_noise: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared velocity error over all blocks of examples [B, C, T], T a multiple of block."""
    latents, local, text = examples
    batch, _, frames = latents.shape
    blocks = frames // block
    t = timesteps(batch * blocks, context + block, generator).view(batch, blocks)
    noise = torch.randn(latents.shape, generator=generator)
    per_frame = t.repeat_interleave(block, dim=1)[:, None]
    noisy = interpolate(latents, noise, per_frame)

    clean = dit.embed_context(disturbed_context(latents, context_noise, generator), local)
    target = dit.embed_target(noisy, local).view(batch, blocks, block, -1)
    token = dit.embed_global(t.flatten(), None).view(batch, blocks, 1, -1)
    hidden = torch.cat([clean, torch.cat([target, token], dim=2).flatten(1, 2)], dim=1)
    hidden, _ = dit.transform(
        hidden,
        parallel_block_positions(blocks, block, context),
        dit.text_keys_values(text),
        parallel_block_mask(blocks, block, context // block),
    )
    hidden = hidden[:, frames:].unflatten(1, (blocks, block + 1))[:, :, :block].flatten(1, 2)
    return F.mse_loss(dit.project(hidden).float(), velocity(latents, noise))


def encoder_decoder_loss(
    dit: DiT,
    examples: Examples,
    block: int,
    context: int,
    copies: int,
    context_noise: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared velocity error of `copies` noisy versions of the block after the context.

    examples hold context + block frames; some contexts lose their oldest frames (dossier §3).
    """
    latents, local, text = examples
    batch = len(latents)
    past, target = latents[..., :context], latents[..., context : context + block]
    past_local, target_local = local[..., :context], local[..., context : context + block]
    t = timesteps(batch * copies, context + block, generator).view(copies, batch)
    noise = torch.randn((copies, *target.shape), generator=generator)
    tokens = [dit.embed_context(disturbed_context(past, context_noise, generator), past_local)]
    for copy in range(copies):
        noisy = interpolate(target, noise[copy], t[copy].view(-1, 1, 1))
        tokens += [dit.embed_target(noisy, target_local), dit.embed_global(t[copy], None)]
    mask = encoder_decoder_mask(context, block, copies)
    if torch.rand((), generator=generator) < 0.5:  # a young stream: fewer context frames
        # At least one block stays, or a context row would have nothing to attend to.
        missing = block * math.floor(
            torch.rand((), generator=generator).item() * (context // block)
        )
        tokens[0] = tokens[0][:, missing:]
        mask = mask[missing:, missing:]
    else:
        missing = 0
    own = torch.cat([torch.arange(context + 1, context + block + 1), torch.zeros(1)])
    positions = torch.cat([torch.arange(missing + 1, context + 1), own.repeat(copies)])
    hidden, _ = dit.transform(torch.cat(tokens, dim=1), positions, dit.text_keys_values(text), mask)
    hidden = hidden[:, context - missing :].unflatten(1, (copies, block + 1))[:, :, :block]
    guess = dit.project(hidden.flatten(1, 2)).float().unflatten(-1, (copies, block))
    truth = torch.stack([velocity(target, each) for each in noise], dim=2)
    return F.mse_loss(guess, truth)
