"""Whether segment ids are needed: "copy the second reference", with and without them (§7).

References are 4x4 pictures of independent values at the same positions, so nothing but the segment
tells them apart. The network is asked in words; what it gives is judged by the nearest reference.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lmdm.video import words
from lmdm.video.bernini.renderer import segments_of
from lmdm.video.bernini.tasks import ORDINALS
from lmdm.video.dit import VideoDiT, VideoDiTConfig

CONFIG = VideoDiTConfig(
    channels=3, dim=64, depth=3, heads=4, patch=(1, 1, 1), axes=(4, 6, 6), multiplier=2,
    vocabulary=len(words.VOCABULARY),
)  # fmt: skip
SIDE = 4


def batch(size: int, references: int, step: int) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """References [B, 3, 1, 4, 4] each, the asked one's index [B], and the asking words [B, n]."""
    generator = torch.Generator().manual_seed(step)
    pictures = tuple(
        torch.randn(size, 3, 1, SIDE, SIDE, generator=generator) for _ in range(references)
    )
    asked = torch.randint(references, (size,), generator=generator)
    prompts = torch.stack([words.encode(ORDINALS[index]) for index in asked.tolist()])
    return pictures, asked, prompts


def copied(
    network: VideoDiT, pictures: tuple[Tensor, ...], prompts: Tensor, tagged: bool
) -> Tensor:
    """What the network gives for the asked reference. tagged: every reference has its segment."""
    ids = segments_of(len(pictures)) if tagged else (0.0,) * len(pictures)
    nothing = torch.zeros_like(pictures[0])
    return network(nothing, torch.zeros(len(prompts)), prompts, None, pictures, ids)


def train(tagged: bool, steps: int, size: int = 32, seed: int = 0) -> Iterator[tuple[int, float]]:
    """Trains on 2 and 3 references; yields (references, selection accuracy) of held-out batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VideoDiT(CONFIG)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50) * (1 - 0.95 * step / steps)
        pictures, asked, prompts = batch(size, 2 + step % 2, step)
        wanted = torch.stack(pictures)[asked, torch.arange(size)]
        loss = (copied(network, pictures, prompts, tagged) - wanted).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    for references in (2, 3):
        yield references, accuracy(network, references, tagged)


@torch.no_grad()
def accuracy(network: VideoDiT, references: int, tagged: bool, size: int = 256) -> float:
    """Share of held-out requests whose answer is nearest to the reference that was asked for."""
    pictures, asked, prompts = batch(size, references, 10**6 + references)
    given = copied(network, pictures, prompts, tagged)
    errors = torch.stack([(given - each).square().flatten(1).mean(1) for each in pictures])
    return float((errors.argmin(0) == asked).float().mean())
