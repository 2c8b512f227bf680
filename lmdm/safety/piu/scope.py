"""Which parameters may change: named scopes over a network's parameter names (§3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lmdm.errors import InputError


@dataclass(frozen=True)
class Scope:
    """Parameters whose names contain `part` and begin with one of `blocks` (empty: anywhere)."""

    part: str = ""
    blocks: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Whether a parameter of this name may change."""
        inside = not self.blocks or any(name.startswith(f"{block}.") for block in self.blocks)
        return inside and self.part in name


STABLE_DIFFUSION = {  # UNet2DConditionModel of Stable Diffusion 1.5, on which Arc2Face stands
    "surgical": Scope("attn2", ("down_blocks.2", "mid_block", "up_blocks.1", "up_blocks.2")),
    "cross-attention": Scope("attn2"),
    "full": Scope(),
}
FACES = {  # our own small model: cross-attention of its later half
    "surgical": Scope("attn2", ("blocks.2", "blocks.3", "blocks.4")),
    "cross-attention": Scope("attn2"),
    "full": Scope(),
}


def select(network: nn.Module, scope: Scope) -> dict[str, nn.Parameter]:
    """Freezes everything outside the scope; the parameters inside by name.

    Raises:
        InputError: the scope holds no parameter of this network.
    """
    chosen = {}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(scope.holds(name))
        if parameter.requires_grad:
            chosen[name] = parameter
    if not chosen:
        raise InputError(
            f"the scope {scope.part!r} in {', '.join(scope.blocks) or 'all blocks'} holds no "
            "parameter of this model"
        )
    return chosen


def share(network: nn.Module, scope: Scope) -> float:
    """The share of a network's parameters inside a scope."""
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return sum(size for name, size in sizes.items() if scope.holds(name)) / sum(sizes.values())
