"""Block-causal video: chunk after chunk, each seeing clean chunks before it through their K/V."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lmdm.dit.layers import KeysValues
from lmdm.video.dit import VideoDiT, grid_positions, rotation_of


def teacher_forcing_mask(chunks: int, tokens: int) -> Tensor:
    """All chunks trained at once: [clean chunks | noisy chunks] of `tokens` tokens each.

    Clean chunk i sees clean chunks 0..i; noisy chunk i sees clean chunks 0..i-1 and itself: what a
    rollout sees. Bool [2 N, 2 N], True allows.
    """
    index = torch.arange(chunks).repeat_interleave(tokens)
    behind = index[:, None] - index[None, :]
    nothing = torch.zeros_like(behind, dtype=torch.bool)
    clean = torch.cat([behind >= 0, nothing], dim=1)
    noisy = torch.cat([behind >= 1, behind == 0], dim=1)
    return torch.cat([clean, noisy])


def teacher_forced_velocity(
    dit: VideoDiT, clean: Tensor, noisy: Tensor, t: Tensor, features: Tensor, chunk: int
) -> Tensor:
    """Velocities of all chunks of noisy [B, C, T, H, W] in one pass, given the clean video.

    t [B, chunks]: every chunk's own time. features [B, L, T, H, W] or of 0 channels.
    """
    grid = dit.grid(clean)
    chunks, tokens = grid[0] // chunk, chunk * grid[1] * grid[2]
    given = features if features.shape[1] else None
    hidden = torch.cat([dit.embed(clean, given), dit.embed(noisy, given)], dim=1)
    times = dit.embed_time(torch.cat([torch.zeros_like(t[:, :1]), t], dim=1))
    slots = torch.arange(1, chunks + 1).repeat_interleave(tokens)
    time = times[:, torch.cat([torch.zeros_like(slots), slots])]
    positions = grid_positions(grid).to(clean)
    rotation = rotation_of(dit.config, torch.cat([positions, positions]))
    hidden, _ = dit.transform(
        hidden, time, rotation, mask=teacher_forcing_mask(chunks, tokens).to(clean.device)
    )
    noisy_tokens = chunks * tokens
    return dit.project(hidden[:, noisy_tokens:], time[:, noisy_tokens:], grid)


def chunk_pass(
    dit: VideoDiT,
    x: Tensor,
    t: float,
    start: float,
    features: Tensor | None,
    past: Sequence[KeysValues] | None,
) -> tuple[Tensor, list[KeysValues]]:
    """One chunk [B, C, c, H, W] that stands at frame `start`, after whatever `past` holds.

    Returns its velocity and every layer's keys (rotated to their place in time) and values.
    """
    grid = dit.grid(x)
    rotation = rotation_of(dit.config, grid_positions(grid, start).to(x))
    time = dit.embed_time(x.new_full((len(x),), t))
    hidden, fresh = dit.transform(dit.embed(x, features), time, rotation, past=past)
    return dit.project(hidden, time, grid), fresh
