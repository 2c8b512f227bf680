"""The routing stem of any loaded network: B, beside A, for clean context and local controls.

h = A (r x_t) + B [m; m x_clean; local] (dossier §2.2). Columns that the network had are kept; new
ones are zeros, so nothing that the network did changes until training wants it to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from lmdm.conditioning.local import LocalConditioning
from lmdm.dit.model import DiT


def with_stem(
    dit: DiT,
    before: LocalConditioning | None,
    after: LocalConditioning | None,
    init: Literal["zero", "copy"] = "zero",
) -> DiT:
    """The network with a stem B for the local controls `after`; `before` names those it has.

    init: what the columns of context latents are where the network has no B yet: "zero", or "copy",
    A's own. The weights are shared with `dit`, but for B.
    """
    old, config = dit.config, dit.config
    channels = after.channels if after is not None else 0
    if old.routed and (before.names if before else ()) == (after.names if after else ()):
        return dit
    config = replace(old, routed=True, local_channels=channels)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        grown = DiT(config)
    head = 1 + old.latent_channels
    stem = dit.transformer.project_in.weight.new_zeros(config.dim, head + channels)
    if old.routed:
        weight = dit.to_input_add_embed.weight.detach()
        stem[:, :head] = weight[:, :head]
        if before is not None and after is not None:
            for name in after.names:
                if name in before.slices:
                    into, source = _columns(after, name, head), _columns(before, name, head)
                    stem[:, into] = weight[:, source]
    elif init == "copy":
        stem[:, 1:head] = own_stem(dit)
    weights = {**dit.state_dict(), "to_input_add_embed.weight": stem}
    grown.load_state_dict(weights, assign=True)
    return grown.requires_grad_(True).train(dit.training)


def own_stem(dit: DiT) -> torch.Tensor:
    """A as one matrix [dim, C]: project_in after the residual pointwise convolution."""
    pointwise = dit.preprocess_conv.weight.detach()[:, :, 0]
    identity = torch.eye(len(pointwise), device=pointwise.device, dtype=pointwise.dtype)
    return dit.transformer.project_in.weight.detach() @ (identity + pointwise)


def _columns(conditioning: LocalConditioning, name: str, head: int) -> slice:
    channels = conditioning.slices[name]
    return slice(head + channels.start, head + channels.stop)
