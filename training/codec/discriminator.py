"""Complex STFT discriminators (EnCodec, arXiv 2210.13438): real and imaginary parts as channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

DILATIONS = (1, 2, 4)
Judged = tuple[list[Tensor], list[list[Tensor]]]  # logits and features, one entry a resolution


class STFTDiscriminator(nn.Module):
    """One resolution: 2-d convolutions over frames and bins."""

    def __init__(self, size: int, filters: int) -> None:
        super().__init__()
        self.size = size

        n = filters
        layers = [nn.Conv2d(4, n, (3, 9), padding=(1, 4))]
        layers += [
            nn.Conv2d(n, n, (3, 9), stride=(1, 2), dilation=(each, 1), padding=(each, 4))
            for each in DILATIONS
        ]
        layers.append(nn.Conv2d(n, n, 3, padding=1))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.last = weight_norm(nn.Conv2d(n, 1, 3, padding=1))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """sound [B, 2, S] -> logits and every layer's features."""
        window = torch.hann_window(self.size, device=sound.device, dtype=sound.dtype)
        spectrum = torch.stft(
            sound.flatten(0, 1),
            self.size,
            self.size // 4,
            window=window,
            normalized=True,
            return_complex=True,
        )
        parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1)  # [2 B, 2, frames, bins]
        hidden = parts.reshape(len(sound), 4, *parts.shape[2:])
        features = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.last(hidden), features


class MultiScaleDiscriminator(nn.Module):
    """Several resolutions side by side."""

    def __init__(self, sizes: Sequence[int], filters: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(STFTDiscriminator(size, filters) for size in sizes)

    def forward(self, sound: Tensor) -> Judged:
        """sound [B, 2, S] -> logits and features of each resolution."""
        judged = [scale(sound) for scale in self.scales]
        return [logits for logits, _ in judged], [features for _, features in judged]
