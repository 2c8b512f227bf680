"""Procedural videos: one shape that moves over a dark ground and bounces off the walls.

A scene is defined in continuous coordinates (picture height 1, frame times of a clip from 0), so it
can be drawn on a grid of any resolution and any subset of its frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmdm.video.words import COLOURS, DIRECTIONS, SHAPES, SPEEDS

SIZE = 0.2  # half the side of a shape
GROUND = 0.08


@dataclass(frozen=True)
class Scene:
    """What moves, and how. Indices into the words; start (row, column) in 0..1."""

    shape: int
    colour: int
    direction: int
    speed: int
    start: tuple[float, float] = (0.5, 0.5)

    @property
    def prompt(self) -> str:
        """The words that describe it."""
        names = (SHAPES, tuple(COLOURS), tuple(DIRECTIONS), tuple(SPEEDS))
        which = (self.shape, self.colour, self.direction, self.speed)
        return " ".join(words[index] for words, index in zip(names, which, strict=True))

    def centre(self, times: Tensor) -> Tensor:
        """(row, column) at frame times [T] -> [T, 2]: reflected at the walls."""
        along = torch.tensor(list(DIRECTIONS.values())[self.direction])
        speed = tuple(SPEEDS.values())[self.speed]
        free = torch.tensor(self.start) + speed * times[:, None] * along
        low, span = SIZE, 1 - 2 * SIZE
        phase = torch.remainder(free - low, 2 * span)
        return low + torch.where(phase > span, 2 * span - phase, phase)


def random_scene(generator: np.random.Generator) -> Scene:
    """Any shape, colour, direction and speed, from anywhere."""
    shape, colour, direction, speed = (
        int(generator.integers(len(each))) for each in (SHAPES, COLOURS, DIRECTIONS, SPEEDS)
    )
    row, column = (float(x) for x in generator.uniform(SIZE, 1 - SIZE, 2))
    return Scene(shape, colour, direction, speed, (row, column))


def draw(scene: Scene, times: Tensor, height: int, width: int) -> Tensor:
    """The scene at frame times [T] -> [3, T, height, width] in -1..1, edges anti-aliased."""
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    centre = scene.centre(times)
    y = rows[None, :, None] - centre[:, 0, None, None]
    x = columns[None, None, :] - centre[:, 1, None, None]
    inside = (_distance(SHAPES[scene.shape], y, x) * -min(height, width) + 0.5).clamp(0, 1)
    colour = torch.tensor(list(COLOURS.values())[scene.colour])
    picture = GROUND + inside[None] * (colour[:, None, None, None] - GROUND)
    return 2 * picture - 1


def _distance(shape: str, y: Tensor, x: Tensor) -> Tensor:
    """Signed distance from the outline, below 0 inside."""
    if shape == "square":
        return torch.maximum(y.abs(), x.abs()) - 0.9 * SIZE
    radius = (y**2 + x**2).sqrt()
    if shape == "disc":
        return radius - SIZE
    if shape == "ring":
        return (radius - 0.72 * SIZE).abs() - 0.3 * SIZE
    bar = 0.35 * SIZE
    across = torch.maximum(y.abs() - bar, x.abs() - SIZE)
    along = torch.maximum(x.abs() - bar, y.abs() - SIZE)
    return torch.minimum(across, along)
