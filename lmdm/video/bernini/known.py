"""How much of a target can be known from what, and how much a renderer makes of its plan.

At t = 1 latents are noise, and a renderer's guess of the clean target is the mean of what could be.
The error of the best guess follows from the world alone: a renderer that has the whole plan and
errs by more than is left when only the place is unknown does not read where things are, and then
a shape is 1 or 2 % of what it could still win.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmdm.diffusion.path import denoised, interpolate
from lmdm.video import words
from lmdm.video.bernini.rendering import Bernini
from lmdm.video.bernini.tasks import ATTRIBUTES, COUNTS, placed, video_of
from lmdm.video.bernini.training import cases_of, collate
from lmdm.video.scenes import Scene

TIMES = (1.0, 0.97, 0.9, 0.8)


def every_target(seed: int = 0, places: int = 24) -> Tensor:
    """[shape, colour, direction, speed, place, 3, T, 16, 16]: all scenes, for each direction and
    speed at random places, the same ones for every shape and colour.
    """
    generator = np.random.default_rng(seed)
    starts = {
        way: [placed(Scene(0, 0, *way), generator).start for _ in range(places)]
        for way in np.ndindex(*COUNTS[2:])
    }
    videos = [
        video_of(Scene(shape, colour, direction, speed, start))
        for shape, colour, direction, speed in np.ndindex(*COUNTS)
        for start in starts[direction, speed]
    ]
    return torch.stack(videos).unflatten(0, (*COUNTS, places))


def left_unknown(targets: Tensor, unknown: Sequence[str]) -> float:
    """Share of the targets' power that the best guess misses: E|x - E[x | the rest]|^2 / E|x|^2.

    unknown: one or more of ATTRIBUTES and "place"; what is not named is known.
    """
    names = (*ATTRIBUTES, "place")
    axes = [names.index(name) for name in unknown]
    missed = targets - targets.mean(axes, keepdim=True)
    share = float(missed.square().mean() / targets.square().mean())
    places = targets.shape[-5]
    if "place" in unknown and not {"direction", "speed"} & set(unknown):
        share *= places / (places - 1)  # few draws lie nearer to their own mean than to the true
    return share


@torch.no_grad()
def plan_is_read(bernini: Bernini, count: int, seed: int = 0) -> dict[str, Any]:
    """Errors of the guess of the clean target at noise levels, without words: with its plan (true
    embeddings), without one, and with another's; and at t = 1 what the best guess would miss.
    """
    renderer = bernini.renderer
    assert renderer is not None
    batch = collate(cases_of("t2v", count, np.random.default_rng((seed, 3))))
    target, plan = batch.target, bernini.vit(batch.target)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))
    silence = torch.stack([words.encode("")] * count)
    plans = {"with its plan": plan, "without": None, "another's plan": plan.roll(1, 0)}
    rows: dict[str, dict[str, float]] = {name: {} for name in plans}
    for t in TIMES:
        noisy = interpolate(target, noise, t)
        for name, given in plans.items():
            velocity = renderer(noisy, torch.full((count,), t), silence, given)
            missed = (denoised(noisy, velocity, t) - target).square().mean()
            rows[name][f"t = {t:g}"] = float(missed / target.square().mean())
    targets = every_target(seed)
    least = {
        name: left_unknown(targets, unknown)
        for name, unknown in {
            "nothing known": (*ATTRIBUTES, "place"),
            "colour known": ("shape", "direction", "speed", "place"),
            "all but shape and place": ("shape", "place"),
            "all but the place": ("place",),
            "all but the shape": ("shape",),
        }.items()
    }
    falsified = rows["with its plan"]["t = 1"] >= least["all but the place"]
    return {"rows": rows, "best_guess_misses_at_t_1": least, "falsified": falsified}
