"""Elementary functions of a time that is a number or a tensor.

A Python number stays a Python number (computed in float64), so that a sampler which walks a grid of
numbers makes no tensors for its coefficients; a tensor stays a tensor of its precision and device.
All follow IEEE arithmetic at the ends of their domains: log 0 is -inf, 1/0 is inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Time = float | Tensor


def _elementwise(function: Callable[..., Tensor]) -> Callable[..., Time]:
    def apply(*arguments: Time) -> Time:
        like = next((each for each in arguments if isinstance(each, Tensor)), None)
        dtype = torch.float64 if like is None else like.dtype
        device = None if like is None else like.device
        found = function(*(torch.as_tensor(x, dtype=dtype, device=device) for x in arguments))
        return float(found) if like is None else found

    apply.__doc__ = f"{function.__name__}, elementwise."
    return apply


exp = _elementwise(torch.exp)
expm1 = _elementwise(torch.expm1)
log = _elementwise(torch.log)
log1p = _elementwise(torch.log1p)
sqrt = _elementwise(torch.sqrt)
sin = _elementwise(torch.sin)
cos = _elementwise(torch.cos)
atan = _elementwise(torch.atan)
sigmoid = _elementwise(torch.sigmoid)
softplus = _elementwise(lambda x: torch.logaddexp(x, torch.zeros_like(x)))
quotient = _elementwise(torch.true_divide)


def rows(coefficient: Time, x: Tensor) -> Time:
    """A coefficient that broadcasts against x: a tensor [B] becomes [B, 1, ...], of x's dtype.

    Numbers, and tensors that have as many dimensions as x or none, are left as they are.
    """
    if not isinstance(coefficient, Tensor):
        return coefficient
    if coefficient.ndim == 1 and x.ndim > 1:
        coefficient = coefficient.view(-1, *[1] * (x.ndim - 1))
    return coefficient.to(x.device, x.dtype)


def combined(a: Time, x: Tensor, b: Time, y: Tensor) -> Tensor:
    """a x + b y for coefficients that are numbers, [B], or broadcast. 0 and 1 cost nothing."""
    if x.shape == y.shape:
        if isinstance(a, float) and a == 0.0:
            return _scaled(b, y)
        if isinstance(b, float) and b == 0.0:
            return _scaled(a, x)
    return _scaled(a, x) + _scaled(b, y)


def _scaled(a: Time, x: Tensor) -> Tensor:
    if isinstance(a, float) and a == 1.0:
        return x
    return rows(a, x) * x


def finite(coefficient: Time) -> bool:
    """Whether every entry is a finite number."""
    if isinstance(coefficient, Tensor):
        return bool(torch.isfinite(coefficient).all())
    return math.isfinite(coefficient)


def zero(coefficient: Time) -> bool:
    """Whether every entry is 0."""
    return bool((coefficient == 0.0).all()) if isinstance(coefficient, Tensor) else coefficient == 0
