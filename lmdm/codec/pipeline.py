"""A stack of convolutions fed in pieces, whose output is what feeding it whole gives.

Each step remembers as many inputs behind as its outputs reach back to, and waits for as many ahead.
Nothing is computed twice but the edges of a step, so a stream costs about what one pass costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    """Part of a stack, [B, channels, n] -> [B, channels', n / unit · rate] (or somewhat fewer).

    left, right: how many inputs before and after its own unit an output depends on, at most; left
    is a multiple of unit.
    """

    run: Callable[[Tensor], Tensor]
    left: int
    right: int
    unit: int = 1
    rate: int = 1


class StepState(NamedTuple):
    """Inputs of a step: `behind` already have their outputs, those `ahead` wait."""

    behind: Tensor | None
    ahead: Tensor | None


States = tuple[StepState, ...]


def initial_states(steps: Sequence[Step]) -> States:
    """Nothing heard yet."""
    return tuple(StepState(None, None) for _ in steps)


def advance(
    steps: Sequence[Step], states: States, piece: Tensor | None, last: bool = False
) -> tuple[Tensor | None, States]:
    """Feeds a piece [B, C, n], or none; gives the outputs that are certain now, if there are any.

    last: nothing follows, so the rest comes out as well; the states are then spent.
    """
    after, chunk = [], piece
    for step, state in zip(steps, states, strict=True):
        chunk, state = _advance_step(step, state, chunk, last)
        after.append(state)
    return chunk, tuple(after)


def _advance_step(
    step: Step, state: StepState, chunk: Tensor | None, last: bool
) -> tuple[Tensor | None, StepState]:
    known = [each for each in (state.behind, state.ahead, chunk) if each is not None]
    if not known or (chunk is None and not last):
        return None, state
    window = torch.cat(known, dim=-1) if len(known) > 1 else known[0]
    begun = 0 if state.behind is None else state.behind.shape[-1]
    ready = window.shape[-1] if last else window.shape[-1] - step.right
    ready -= ready % step.unit
    if ready <= begun:
        return None, StepState(state.behind, window[..., begun:])
    outputs = step.run(window)
    first, end = begun // step.unit * step.rate, ready // step.unit * step.rate
    kept = min(ready, step.left)
    return outputs[..., first:end], StepState(
        window[..., ready - kept : ready], window[..., ready:]
    )
