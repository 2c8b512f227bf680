"""Numbers as tokens: how long the piece is and where it starts, in Stable Audio's own embedding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from lmdm.errors import InputError

FEATURES = 256  # of a number's Fourier features; stable-audio-tools has no other


@dataclass(frozen=True)
class NumberConfig:
    """One number. Values outside low..high count as the nearer end."""

    dim: int
    low: float
    high: float
    whole: bool = False  # a table of whole numbers, in place of Fourier features


@dataclass(frozen=True)
class ConditionerConfig:
    """Which numbers there are, and which conditions go where, in the order the model wants them."""

    numbers: Mapping[str, NumberConfig]
    cross_attention: tuple[str, ...] = ()  # text and numbers whose tokens cross-attention reads
    global_condition: tuple[str, ...] = ()  # numbers side by side in the global condition

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConditionerConfig:
        """Raises InputError on a key that no field has."""
        unknown = set(values) - {field.name for field in fields(cls)}
        for number in values["numbers"].values():
            unknown |= set(number) - {field.name for field in fields(NumberConfig)}
        if unknown:
            raise InputError(f"conditioner config has unknown key {min(unknown)!r}")
        numbers = {name: NumberConfig(**each) for name, each in values["numbers"].items()}
        orders = (tuple(values.get(key, ())) for key in ("cross_attention", "global_condition"))
        return cls(numbers, *orders)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return {
            "numbers": {name: asdict(each) for name, each in self.numbers.items()},
            "cross_attention": list(self.cross_attention),
            "global_condition": list(self.global_condition),
        }


class FourierFeatures(nn.Module):
    """[u, sin(2 pi u w), cos(2 pi u w)] with learnt frequencies w."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(FEATURES // 2))

    def forward(self, values: Tensor) -> Tensor:
        """values [B] in 0..1 -> [B, 257]."""
        angles = values[:, None] * self.weights * 2 * math.pi
        return torch.cat([values[:, None], angles.sin(), angles.cos()], dim=1)


class NumberEmbedder(nn.Module):
    """Fourier features and one matrix, under the names that checkpoints give them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Sequential(FourierFeatures(), nn.Linear(FEATURES + 1, dim))

    def forward(self, values: Tensor) -> Tensor:
        """values [B] in 0..1 -> [B, dim]."""
        return self.embedding(values)


class Number(nn.Module):
    """One number's embedding."""

    def __init__(self, config: NumberConfig) -> None:
        super().__init__()
        self.config = config
        if config.whole:
            self.int_embedder = nn.Embedding(int(config.high - config.low) + 1, config.dim)
        else:
            self.embedder = NumberEmbedder(config.dim)

    def forward(self, values: Tensor) -> Tensor:
        """values [B] -> [B, dim]."""
        low, high = self.config.low, self.config.high
        if self.config.whole:  # a table's rows count from 0, but the reference looks up the value
            return self.int_embedder(values.long().clamp(int(low), int(high)))
        return self.embedder((values.clamp(low, high) - low) / (high - low))


class Conditioner(nn.Module):
    """The numbers of a checkpoint, and where each goes."""

    def __init__(self, config: ConditionerConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioners = nn.ModuleDict(
            {name: Number(each) for name, each in config.numbers.items()}
        )

    def number(self, name: str, values: Sequence[float] | Tensor) -> Tensor:
        """values [B] -> one token a value [B, 1, dim], as the reference gives it.

        Raises:
            InputError: the model hears no number of that name.
        """
        if name not in self.conditioners:
            known = ", ".join(self.conditioners) or "none"
            raise InputError(f"the model hears no number {name!r}; it hears: {known}")
        weight = next(self.conditioners[name].parameters())
        given = torch.as_tensor(values, dtype=weight.dtype, device=weight.device).reshape(-1)
        return self.conditioners[name](given)[:, None]

    def global_condition(self, values: Mapping[str, float]) -> Tensor | None:
        """Named numbers -> the global condition [G]; None if the model has none."""
        names = self.config.global_condition
        tokens = [self.number(name, [values[name]])[0, 0] for name in names]
        return torch.cat(tokens) if tokens else None

    def tokens(self, values: Mapping[str, float]) -> dict[str, Tensor]:
        """Named numbers -> tokens [1, dim] of those that cross-attention reads."""
        heard = [name for name in self.config.cross_attention if name in self.conditioners]
        return {name: self.number(name, [values[name]])[0] for name in heard}
