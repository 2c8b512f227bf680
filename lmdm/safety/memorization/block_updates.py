"""How large the sampler's updates are while a stream makes a block: the image statistic, in music.

A block has few steps (the starter four) where an image has fifty, and a sampler that renoises draws
fresh noise in each, which would drown any update. So the update is taken before that noise: what
the probability-flow step does, δ = (s - t) v, of the guided velocity v at (x, t). For Euler it is
the whole update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lmdm.diffusion.samplers import Velocities, guided_velocity
from lmdm.safety.memorization.region import norms_of

if TYPE_CHECKING:
    from lmdm.checkpoints import Model


class BlockUpdates:
    """Sees the passes of one block after another; see `BlockStream.next_block(after_step)`.

    Threads: none; whoever makes the blocks calls it.
    """

    def __init__(self) -> None:
        self._passes: list[tuple[Tensor, float, Velocities]] = []

    def __call__(self, x: Tensor, t: float, velocities: Velocities) -> None:
        """One pass. Time rises only where another block, or the same one anew, begins."""
        if self._passes and t >= self._passes[-1][1]:
            self._passes = []
        self._passes.append((x, t, velocities))

    def text_conditional(self) -> Tensor | None:
        """[K] ‖v_c - v_∅‖ of the block's steps, the statistic of earlier detectors.

        None without a null velocity.
        """
        found = [
            (conditional - null).double().norm()
            for _, _, (conditional, null) in self._passes
            if null is not None
        ]
        return torch.stack(found).cpu() if found else None

    def taken(self, guidance: float, parallel: float = 1.0) -> Tensor | None:
        """[K, 3] float64 norms of the block's steps, in the order of `region.NORMS`.

        guidance, parallel: that the block was made with. None if no pass was seen since.
        """
        passes, self._passes = self._passes, []
        if not passes:
            return None
        ends = [t for _, t, _ in passes[1:]] + [0.0]
        rows = []
        for (x, t, velocities), s in zip(passes, ends, strict=True):
            v = guided_velocity(x, t, velocities, guidance, parallel)
            rows.append(norms_of(x, x + (s - t) * v, x - t * v)[:, 0])
        return torch.stack(rows).cpu()


def stream_setting(
    model: Model, steps: int, guidance: float, parallel: float = 1.0
) -> Mapping[str, Any]:
    """All that a stream's region depends on, as plain values."""
    config = model.stream_config.to_dict()
    del config["steps"]
    return {
        "model": model.sha256,
        "stream": config,
        "steps": steps,
        "guidance": guidance,
        "parallel": parallel,
        "dtype": str(model.dit.transformer.project_in.weight.dtype),
    }
