"""The differentiable rollout: the stream that plays, with the gradient of each block's last step.

`BlockStream(gradients="last-step")` is the whole of it: nothing of the stream is written twice, so
what is trained is what is played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.grid import logsnr_timesteps
from lmdm.dit.model import DiT
from lmdm.stream.block_stream import BlockConditions, BlockStream, Gradients
from lmdm.stream.config import StreamConfig
from training.arc_forcing.config import RolloutConfig
from training.engine import generator_of


@dataclass(frozen=True)
class Beginning:
    """Where one rollout starts: kept context [C, n] (n from 0), its controls, words, seed."""

    context: Tensor
    context_local: Tensor  # [L, n]
    local: Tensor  # [L, frames of the rollout]
    text: Tensor | None  # [N, D]
    seed: int
    global_condition: Tensor | None = None  # [G]


def roll(
    dit: DiT,
    config: StreamConfig,
    beginning: Beginning,
    grids: Sequence[Sequence[float]],
    gradients: Gradients = "last-step",
) -> Tensor:
    """One block a grid of timesteps -> latents [C, blocks * block_frames].

    The conditions are played without guidance, as ARC-Forced models are.
    """
    stream = BlockStream(
        dit, config, seed=beginning.seed, device=beginning.context.device, gradients=gradients
    )
    if beginning.context.shape[-1]:
        stream.prime(beginning.context, beginning.context_local)
    size = config.block_frames
    blocks = []
    for number, grid in enumerate(grids):
        local = beginning.local[:, number * size : (number + 1) * size]
        conditions = BlockConditions(
            beginning.text, local if len(local) else None, beginning.global_condition
        )
        blocks.append(stream.next_block(conditions, timesteps=grid))
    return torch.cat(blocks, dim=-1)


def grids_of(plan: RolloutConfig, config: StreamConfig, seed: int, step: int) -> list[list[float]]:
    """Each block's timesteps, of a random number of steps; the same for all rows and processes."""
    whole = plan.grid_steps or config.steps
    most = plan.most_steps or whole
    generator = generator_of(seed, step, 31)
    counts = torch.randint(plan.fewest_steps, most + 1, (plan.blocks,), generator=generator)
    return [grid(int(count), whole, plan.grid, config) for count in counts]


def grid(count: int, whole: int, kind: str, config: StreamConfig) -> list[float]:
    """The timesteps of `count` steps: their own schedule, or the first points of `whole` steps'.

    The last step goes to 0 either way, so a block is the x0 of its last step.
    """
    own = logsnr_timesteps(
        count if kind == "own" else whole, config.logsnr_min, config.logsnr_max
    ).tolist()
    return own if kind == "own" else [*own[:count], 0.0]


def kept_context(plan: RolloutConfig, config: StreamConfig, seed: int, step: int, row: int) -> int:
    """How many of a row's context frames are kept: whole blocks from the end, perhaps none."""
    drawn = torch.rand(3, generator=generator_of(seed, step, row, 32)).tolist()
    blocks = config.context_frames // config.block_frames
    if drawn[0] < plan.no_context:
        return 0
    if drawn[1] < plan.less_context and blocks > 1:
        return config.block_frames * (1 + int(drawn[2] * (blocks - 1)))
    return blocks * config.block_frames
