"""The discriminator: a diffusion transformer reads the whole sequence, a ConvNeXt head judges it.

It sees context and rollout at once and in both directions, at a noise level t_d, under the same
conditions as the generator; the context's own tokens are left out of the judgement.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lmdm.diffusion.path import interpolate
from lmdm.dit.model import DiT
from training.data.examples import Examples
from training.finetune.losses import bidirectional_loss

KERNEL = 7
STAGES = ((1, 1), (2, 2), (4, 2))  # (times head_dim, stride)
BLOCKS = 2  # of each stage


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, GELU MLP four times as wide, residual (2201.03545)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, dim, n] -> [B, dim, n]."""
        mixed = self.norm(self.depthwise(hidden).transpose(1, 2))
        return hidden + self.contract(F.gelu(self.expand(mixed))).transpose(1, 2)


class ConvNeXtHead(nn.Module):
    """Features -> patch logits, one for every four frames."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [weight_norm(nn.Conv1d(inputs, dim, KERNEL, padding=KERNEL // 2))]
        width = dim
        for times, stride in STAGES:
            if stride > 1 or times * dim != width:
                layers.append(nn.Conv1d(width, times * dim, stride, stride))
                width = times * dim
            layers += [ConvNeXtBlock(width) for _ in range(BLOCKS)]
        layers.append(nn.Conv1d(width, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs, n] -> [B, n // 4]."""
        return self.layers(features)[:, 0]


class Discriminator(nn.Module):
    """D(x, c, t_d) = head(features of (1 - t_d) x + t_d noise).

    backbone: its layers 0..layer are read; those after it serve the warm-up only. context: frames
    at the beginning that the head does not see.
    """

    def __init__(self, backbone: DiT, layer: int, context: int, head_dim: int) -> None:
        super().__init__()
        self.backbone, self.layer, self.context = backbone, layer, context
        self.head = ConvNeXtHead(backbone.config.dim, head_dim)

    def features(self, examples: Examples, t: Tensor, noise: Tensor) -> Tensor:
        """Hidden states after `layer`, of the frames after the context [B, dim, T - context]."""
        latents, local, text, condition = examples
        dit = self.backbone
        noisy = interpolate(latents, noise, t.view(-1, 1, 1))
        hidden = torch.cat([dit.embed_global(t, condition), dit.embed_target(noisy, local)], dim=1)
        rotation = dit.rotation(torch.arange(hidden.shape[1], device=latents.device))
        projected = dit.to_cond_embed(text.to(hidden.dtype))
        for layer in list(dit.transformer.layers)[: self.layer + 1]:
            heard = layer.cross_attn.keys_values(projected)  # type: ignore[union-attr, operator]
            hidden, _ = layer(hidden, rotation, None, None, heard)
        return hidden[:, 1 + self.context :].transpose(1, 2)

    def forward(self, examples: Examples, t: Tensor, noise: Tensor, warmup: bool = False) -> Tensor:
        """examples of T frames, t [B], noise like the latents -> patch logits [B, patches].

        warmup: instead, the backbone's loss per row [B] as a diffusion model.
        """
        if warmup:
            return bidirectional_loss(self.backbone, examples, t, noise)
        return self.head(self.features(examples, t, noise).float())
