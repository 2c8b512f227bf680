"""Matrices in 8 bits: half the memory of bfloat16, and sooner read, at some error.

Inputs are unsigned, their zero at 128: of signed ones oneDNN has no fast kernel for these CPUs,
only its reference, which takes a thousand times as long.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.dit.packed import PackedLinear

LARGEST = 127
ZERO = 128  # of the inputs


def quantizable() -> bool:
    """Whether this torch multiplies 8-bit matrices."""
    return hasattr(torch.ops.onednn, "qlinear_prepack")


class QuantizedLinear(PackedLinear):
    """A linear layer of int8 weights, a scale an output, and inputs rounded to 8 bits as they come.

    "Dynamic" quantization: nothing is calibrated, the scale of the inputs is that of each pass.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, tokens: int) -> None:
        torch.nn.Module.__init__(self)
        weight = weight.detach().float()
        self.scale = weight.abs().amax(dim=1).clamp_min(1e-12) / LARGEST
        whole = (weight / self.scale[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(whole, [tokens, weight.shape[1]])
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.input_zero = torch.tensor(ZERO, dtype=torch.int32)
        self.bias = None if bias is None else bias.detach().float()

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        rows = hidden.reshape(-1, hidden.shape[-1])
        if not len(rows):
            return hidden.new_empty(*hidden.shape[:-1], len(self.scale))
        scale = rows.abs().amax().float().clamp_min(1e-12) / LARGEST
        whole = (rows / scale).round_().add_(ZERO).to(torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise.tensor(
            whole, scale, self.input_zero, self.weight, self.scale, self.zeros,
            self.bias, 1.0, 0, hidden.dtype, "none", [], "",
        )  # fmt: skip
        return product.view(*hidden.shape[:-1], -1)

    def silu(self, hidden: Tensor) -> Tensor:
        """SiLU of the output."""
        return F.silu(self(hidden))

    def times(self, hidden: Tensor, factor: Tensor) -> Tensor:
        """The output times `factor` [..., outputs]."""
        return self(hidden).mul_(factor)

    def plus(self, hidden: Tensor, term: Tensor) -> Tensor:
        """The output plus `term` [..., outputs]."""
        return self(hidden).add_(term)
