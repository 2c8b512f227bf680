"""Oobleck's decoder as processors like it best: the same function, sooner.

Channels last, so that a convolution's inner loop runs over channels; Snake in place, in one buffer;
bfloat16 where that is wanted. What is heard of bfloat16 is in docs/benchmarks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.codec.oobleck import Oobleck, Residual, Snake, Stage


def packed_decoder(
    codec: Oobleck, dtype: torch.dtype = torch.float32, channels_last: bool = True
) -> nn.Module:
    """A twin of the codec's decoder, for inference: a `Stage` of as many layers.

    It shares no weights with the codec, and does not see what becomes of them.
    """
    layers = []
    for layer in codec.decoder.layers:
        twin = _twin(layer, dtype, channels_last)
        layers.append(_Flat(twin, channels_last))
    return Stage(*layers).eval().requires_grad_(False)


def _twin(layer: nn.Module, dtype: torch.dtype, channels_last: bool) -> nn.Module:
    if isinstance(layer, Snake):
        return PackedSnake(layer, dtype)
    if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
        return PackedConvolution(layer, dtype, channels_last)
    if isinstance(layer, Residual):
        return PackedResidual(*(_twin(each, dtype, channels_last) for each in layer.layers))
    if isinstance(layer, Stage):
        return Stage(*(_twin(each, dtype, channels_last) for each in layer.layers))
    if isinstance(layer, nn.Sequential):
        return nn.Sequential(*(_twin(each, dtype, channels_last) for each in layer))
    if isinstance(layer, nn.Upsample):
        assert isinstance(layer.scale_factor, float)
        return nn.Upsample(scale_factor=(1, layer.scale_factor), mode="nearest")
    return layer  # ELU, tanh and nothing know no layout


class _Flat(nn.Module):
    """[B, C, n] for a layer of [B, C, 1, n]."""

    def __init__(self, layer: nn.Module, channels_last: bool) -> None:
        super().__init__()
        self.layer = layer
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, n] -> [B, C', n']."""
        return self.layer(x[:, :, None].contiguous(memory_format=self.format))[:, :, 0]


class PackedSnake(nn.Module):
    """`Snake` in one buffer of its own."""

    frequency: Tensor
    size: Tensor

    def __init__(self, snake: Snake, dtype: torch.dtype) -> None:
        super().__init__()
        frequency = snake.alpha.detach().exp()
        size = 1.0 / (snake.beta.detach().exp() + 1e-9)
        self.register_buffer("frequency", frequency[:, None, None].to(dtype))
        self.register_buffer("size", size[:, None, None].to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, n] -> [B, channels, 1, n]."""
        wave = torch.mul(x, self.frequency)
        return wave.sin_().square_().mul_(self.size).add_(x)


class PackedConvolution(nn.Module):
    """A convolution of one row of pixels, transposed or not."""

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, layer: nn.Conv1d | nn.ConvTranspose1d, dtype: torch.dtype, channels_last: bool
    ) -> None:
        super().__init__()
        layout = torch.channels_last if channels_last else torch.contiguous_format
        weight = layer.weight.detach()[:, :, None].to(dtype)
        self.register_buffer("weight", weight.contiguous(memory_format=layout))
        bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.register_buffer("bias", bias)
        self.transposed = isinstance(layer, nn.ConvTranspose1d)
        self.stride, self.dilation = (1, layer.stride[0]), (1, layer.dilation[0])
        same = layer.padding == "same"
        self.padding: Any = "same" if same else (0, layer.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, n] -> [B, channels', 1, n']."""
        convolve: Any = F.conv_transpose2d if self.transposed else F.conv2d
        return convolve(
            x, self.weight, self.bias, self.stride, padding=self.padding, dilation=self.dilation
        )


class PackedResidual(Stage):
    """Input plus output, in the output's buffer."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, n] -> [B, channels, 1, n]."""
        return self.layers(x).add_(x)
