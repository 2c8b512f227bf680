"""Numbers of fewer bits where a machine computes them faster."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from lmdm.dit.model import DiT
from lmdm.dit.packed import packed
from lmdm.dit.quantized import QuantizedLinear, quantizable
from lmdm.errors import InputError

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
LARGE = 100_000_000  # parameters from which "auto" leaves float32

Network = TypeVar("Network", bound=nn.Module)


def backbone_at(dit: DiT, precision: str) -> DiT:
    """A backbone at a precision by name; "int8" gives a twin of it for inference on CPUs.

    Raises:
        InputError: an unknown precision, or int8 where it cannot be had.
    """
    if precision != "int8":
        return at_precision(dit, precision)
    twin = packed(at_precision(dit, "auto"), 64, QuantizedLinear) if quantizable() else dit
    if twin is dit:
        raise InputError("precision int8 is for CPUs that oneDNN knows, and not for this network")
    return twin


def at_precision(network: Network, precision: str) -> Network:
    """The network itself, its weights in a precision by name.

    "auto" is bfloat16 for a large network where its device has matrix products of it, else the
    precision that it has.

    Raises:
        InputError: an unknown precision.
    """
    if precision == "auto":
        weight = next(network.parameters())
        large = sum(each.numel() for each in network.parameters()) >= LARGE
        return network.to(torch.bfloat16) if large and fast_bfloat16(weight.device) else network
    return network.to(dtype_of(precision))


def dtype_of(precision: str) -> torch.dtype:
    """The torch type of a precision by name, "auto" aside. Raises InputError on another name."""
    if precision not in PRECISIONS or precision in ("auto", "int8"):
        raise InputError(f"precision is {precision!r}; known: {', '.join(PRECISIONS)}")
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def fast_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    return bool(
        torch.backends.mkldnn.is_available()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )
