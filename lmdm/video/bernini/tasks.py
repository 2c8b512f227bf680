"""Instructions with an answer: text, source video and reference pictures, and the wanted scene.

Tasks, as upstream names them: t2v (words), v2v (edit a source), r2v (references say a part of it),
rv2v (edit a source by a reference). r2v and rv2v are relational: "shape of second colour of first".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lmdm.video.base import to_latents
from lmdm.video.scenes import SIZE as HALF
from lmdm.video.scenes import Scene, draw
from lmdm.video.words import COLOURS, DIRECTIONS, SHAPES, SPEEDS

TASKS = ("t2v", "v2v", "r2v", "rv2v")
FRAMES, SIZE = 8, 16
TIMES = 0.8 * torch.arange(float(FRAMES))  # so that the fast ones just do not meet a wall
MOST_REFERENCES = 3
ORDINALS = ("first", "second", "third")
COUNTS = (len(SHAPES), len(COLOURS), len(DIRECTIONS), len(SPEEDS))
ATTRIBUTES = ("shape", "colour", "direction", "speed")


@dataclass(frozen=True)
class Case:
    """One instruction. references: scenes of which one frame is shown."""

    task: str
    prompt: str
    target: Scene
    source: Scene | None = None
    references: tuple[Scene, ...] = ()
    free: tuple[str, ...] = ()  # attributes that the prompt leaves open


def placed(scene: Scene, generator: np.random.Generator) -> Scene:
    """The scene, begun where its way fits into the picture."""
    step = tuple(DIRECTIONS.values())[scene.direction]
    reach = float(tuple(SPEEDS.values())[scene.speed] * TIMES[-1])
    start = []
    for along in step:
        low = HALF + max(0.0, -along) * reach
        high = 1 - HALF - max(0.0, along) * reach
        start.append(float(generator.uniform(low, max(low, high))))
    return replace(scene, start=(start[0], start[1]))


def any_scene(generator: np.random.Generator) -> Scene:
    """Any scene whose way fits."""
    shape, colour, direction, speed = (int(generator.integers(count)) for count in COUNTS)
    return placed(Scene(shape, colour, direction, speed), generator)


def reversed_in_time(scene: Scene) -> Scene:
    """The same way, walked back."""
    end = scene.centre(TIMES[-1:])[0].tolist()
    return replace(scene, direction=(scene.direction + 2) % 4, start=(end[0], end[1]))


def video_of(scene: Scene) -> Tensor:
    """[3, FRAMES, SIZE, SIZE] in the network's scale."""
    return to_latents(draw(scene, TIMES, SIZE, SIZE))


def picture_of(scene: Scene) -> Tensor:
    """[3, 1, SIZE, SIZE]: its first frame."""
    return to_latents(draw(scene, TIMES[:1], SIZE, SIZE))


def make_case(task: str, generator: np.random.Generator, ambiguous: float = 0.15) -> Case:
    """A random instruction of a task. `ambiguous`: share of t2v prompts that say "any colour"."""
    if task == "t2v":
        target = any_scene(generator)
        shape, colour, direction, speed = target.prompt.split()
        if generator.random() < ambiguous:
            return Case(task, f"any colour {shape} {direction} {speed}", target, free=("colour",))
        return Case(task, f"{shape} {colour} {direction} {speed}", target)
    if task == "r2v":
        return _from_references(generator)
    source = any_scene(generator)
    if task == "v2v":
        return _edit(source, generator)
    reference = any_scene(generator)
    what = ATTRIBUTES[generator.integers(2)]
    target = replace(source, **{what: getattr(reference, what)})
    return Case(task, f"{what} of first", target, source, (reference,))


def _from_references(generator: np.random.Generator) -> Case:
    count = int(generator.integers(2, MOST_REFERENCES + 1))
    references = tuple(any_scene(generator) for _ in range(count))
    of_shape, of_colour = (int(generator.integers(count)) for _ in range(2))
    direction, speed = (int(generator.integers(n)) for n in COUNTS[2:])
    scene = Scene(references[of_shape].shape, references[of_colour].colour, direction, speed)
    prompt = (
        f"shape of {ORDINALS[of_shape]} colour of {ORDINALS[of_colour]} "
        f"{tuple(DIRECTIONS)[direction]} {tuple(SPEEDS)[speed]}"
    )
    return Case("r2v", prompt, placed(scene, generator), None, references)


def _edit(source: Scene, generator: np.random.Generator) -> Case:
    kind = generator.integers(3)
    if kind == 0:
        colour = int(generator.integers(len(COLOURS)))
        return Case("v2v", f"recolour {tuple(COLOURS)[colour]}", replace(source, colour=colour),
                    source)  # fmt: skip
    if kind == 1:
        shape = int(generator.integers(len(SHAPES)))
        return Case("v2v", f"reshape {SHAPES[shape]}", replace(source, shape=shape), source)
    return Case("v2v", "reverse", reversed_in_time(source), source)
