"""The visual encoder whose tokens are the planner's and renderer's common language.

Four tokens of WIDTH numbers a pair of frames (a picture is shown twice). Trained on the attributes
of scenes and their places, then frozen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmdm.config import from_dict
from lmdm.fitting import generator_at
from lmdm.video import checkpoint
from lmdm.video.bernini.tasks import COUNTS, TIMES, any_scene, picture_of, video_of
from lmdm.video.dit import VideoDiT, VideoDiTConfig, grid_positions, rotation_of

KIND = "vit"
WIDTH = 32  # of an embedding
TOKENS_A_PAIR = 4
CONFIG = VideoDiTConfig(
    dim=64, depth=2, heads=4, patch=(2, 8, 8), axes=(6, 4, 4), channels=3, multiplier=2
)


class VisualEncoder(nn.Module):
    """Videos -> tokens, and for training the attributes that can be read off them."""

    def __init__(self, config: VideoDiTConfig = CONFIG) -> None:
        super().__init__()
        self.config = config
        self.trunk = VideoDiT(config)
        self.to_embedding = nn.Linear(config.dim, WIDTH)
        self.heads = nn.ModuleList(nn.Linear(2 * WIDTH, count) for count in COUNTS)
        self.place = nn.Linear(TOKENS_A_PAIR * WIDTH, 4)

    def forward(self, video: Tensor) -> Tensor:
        """[B, 3, T, 16, 16] (T even, or 1: shown twice) -> [B, T/2 * 4, WIDTH], about N(0, 1)."""
        if video.shape[2] == 1:
            video = video.expand(-1, -1, 2, -1, -1)
        trunk = self.trunk
        grid = trunk.grid(video)
        rotation = rotation_of(trunk.config, grid_positions(grid).to(video))
        time = trunk.embed_time(video.new_zeros(len(video)))
        hidden, _ = trunk.transform(trunk.embed(video), time, rotation)
        return F.layer_norm(self.to_embedding(hidden), (WIDTH,))

    def attributes(self, tokens: Tensor) -> list[Tensor]:
        """Logits of shape, colour, direction, speed from the tokens of a whole clip.

        Read from their mean and from the difference of the last and first pair.
        """
        pairs = tokens.unflatten(1, (-1, TOKENS_A_PAIR)).mean(2)
        summary = torch.cat([pairs.mean(1), pairs[:, -1] - pairs[:, 0]], dim=-1)
        return [head(summary) for head in self.heads]

    def places(self, tokens: Tensor) -> Tensor:
        """Centres in both frames of every pair: [B, pairs, 4]."""
        return self.place(tokens.unflatten(1, (-1, TOKENS_A_PAIR)).flatten(2))


def build(settings: dict[str, Any]) -> VisualEncoder:
    """The network of a config.json."""
    return VisualEncoder(from_dict(VideoDiTConfig, settings, "the visual encoder"))


def load(folder: Path | None = None) -> VisualEncoder:
    """A trained encoder, frozen; None is the one that comes with the program."""
    network = checkpoint.load(checkpoint.shipped_or(folder, KIND), KIND, build)
    return network.requires_grad_(False)


def loss_of(network: nn.Module, step: int, size: int = 32, seed: int = 0) -> Tensor:
    """Cross-entropy of the attributes of clips and pictures, and square error of the places."""
    assert isinstance(network, VisualEncoder)
    generator = np.random.default_rng((seed, step))
    scenes = [any_scene(generator) for _ in range(size)]
    videos = torch.stack([video_of(scene) for scene in scenes])
    noise = generator_at(seed, step)
    videos = videos + 0.1 * torch.randn(videos.shape, generator=noise)
    tokens = network(videos)
    labels = torch.tensor([[s.shape, s.colour, s.direction, s.speed] for s in scenes])
    loss = sum(
        F.cross_entropy(logits, labels[:, index])
        for index, logits in enumerate(network.attributes(tokens))
    )
    centres = torch.stack([scene.centre(TIMES) for scene in scenes]).unflatten(1, (-1, 2))
    loss = loss + 4 * F.mse_loss(network.places(tokens), centres.flatten(2))
    pictures = network(torch.stack([picture_of(scene) for scene in scenes]))
    for index, logits in enumerate(network.attributes(pictures)[:2]):
        loss = loss + F.cross_entropy(logits, labels[:, index])
    assert isinstance(loss, Tensor)
    return loss


@torch.no_grad()
def accuracy(network: VisualEncoder, count: int = 256, seed: int = 10**6) -> list[float]:
    """Share of held-out clips whose shape, colour, direction, speed are read rightly."""
    generator = np.random.default_rng(seed)
    scenes = [any_scene(generator) for _ in range(count)]
    logits = network.attributes(network(torch.stack([video_of(scene) for scene in scenes])))
    labels = torch.tensor([[s.shape, s.colour, s.direction, s.speed] for s in scenes])
    return [
        float((each.argmax(-1) == labels[:, index]).float().mean())
        for index, each in enumerate(logits)
    ]
