"""FlowLong's tables: the analytic world's, the small base's, and the figures of any video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmdm.figures import new_figure
from lmdm.video import metrics
from lmdm.video.base import FRAMES, SIZE, to_pictures
from lmdm.video.flowlong.analytic import SceneWorld, judge
from lmdm.video.flowlong.geometry import WindowGeometry
from lmdm.video.flowlong.models import LongVideoModel, Run
from lmdm.video.flowlong.sampler import FlowLongConfig
from lmdm.video.report import mean_and_error
from lmdm.video.scenes import draw, random_scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

# name in the table -> variant, t*
ROWS: dict[str, tuple[str, float]] = {
    "indep": ("indep", 0.6),
    "ode": ("ode", 0.6),
    "flowlong t*=0.8": ("flowlong", 0.8),
    "flowlong t*=0.6": ("flowlong", 0.6),
    "flowlong t*=0.3": ("flowlong", 0.3),
    "sde": ("sde", 0.0),
    "xt": ("xt", 0.6),
    "own-noise": ("own-noise", 0.6),
}


@dataclass(frozen=True)
class Figure:
    """Mean and standard error over seeds."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Of the values that are numbers."""
        return cls(*mean_and_error([value for value in values if math.isfinite(value)] or [0.0]))


Table = dict[str, dict[str, Figure]]


def table(
    model: LongVideoModel,
    geometry: WindowGeometry,
    judges: Callable[[Tensor], dict[str, float]],
    seeds: int,
    rows: Sequence[str] = tuple(ROWS),
    prompt: Callable[[int], str] = lambda _: "",
) -> Iterator[tuple[str, int, Table]]:
    """Samples every row with every seed; yields (row, seeds done, table so far)."""
    done: Table = {}
    for row in rows:
        variant, t_star = ROWS[row]
        figures: list[dict[str, float]] = []
        for seed in range(seeds):
            run = Run(
                geometry,
                FlowLongConfig(variant, t_star, seed),
                (prompt(seed),) * geometry.windows,
                "",
                model.defaults.steps,
                model.defaults.shift,
                model.defaults.guidance,
            )
            state = model.run(run, None, lambda _: None)
            assert state.timeline is not None
            figures.append(judges(state.timeline[:, : geometry.frames]))
            done[row] = {name: Figure.of([each[name] for each in figures]) for name in figures[0]}
            yield row, seed + 1, done


def analytic_judges(world: SceneWorld, geometry: WindowGeometry) -> Callable[..., dict[str, float]]:
    """The figures of the analytic world."""
    return lambda timeline: asdict(judge(world, timeline.double(), geometry))


def base_judges(geometry: WindowGeometry, natural_detail: float) -> Callable[..., dict[str, float]]:
    """The figures of the small base."""

    def judges(timeline: Tensor) -> dict[str, float]:
        video = to_pictures(timeline)
        errors = metrics.frame_errors(video)
        first, last = metrics.quarters(errors)
        return {
            "colour_changes": float(metrics.changes(metrics.colour_indices(video))),
            "seam_jump": metrics.jump_ratio(video, seams(geometry)),
            "energy": float(metrics.detail_energy(video).mean()) / natural_detail,
            "frame_error": float(errors.mean()),
            "first_quarter": first,
            "last_quarter": last,
        }

    return judges


def seams(geometry: WindowGeometry, temporal: int = 1) -> list[int]:
    """Frames at which a window begins or the one before it has ended."""
    edges = list(geometry.starts[1:])
    edges += [start + geometry.window for start in geometry.starts[:-1]]
    return sorted({edge * temporal for edge in edges if edge < geometry.frames})


def video_figures(video: Tensor, seam_frames: list[int]) -> dict[str, Any]:
    """What can be said of any video [3, T, H, W] without a network."""
    jumps, detail = metrics.frame_jumps(video), metrics.detail_energy(video)
    brightness = video.mean((0, 2, 3))
    return {
        "frames": video.shape[1],
        "motion": float(jumps.mean()),
        "largest_jump": float(jumps.max()),
        "largest_jump_frame": int(jumps.argmax()) + 1,
        "seam_jump": metrics.jump_ratio(video, seam_frames),
        "detail_first_quarter": metrics.quarters(detail)[0],
        "detail_last_quarter": metrics.quarters(detail)[1],
        "brightness_first_quarter": metrics.quarters(brightness)[0],
        "brightness_last_quarter": metrics.quarters(brightness)[1],
    }


def verdict(result: Table, switches: str) -> dict[str, Any]:
    """The dossier's falsifiers, from a table with the rows "ode", "flowlong t*=0.6" and "sde".

    FlowLong must switch less than the ODE by over 3 standard errors, and its energy must be nearer
    to 1 than the SDE's.
    """
    ode, ours, sde = (result[row] for row in ("ode", "flowlong t*=0.6", "sde"))
    gap = ode[switches].mean - ours[switches].mean
    error = math.hypot(ode[switches].error, ours[switches].error)
    fewer = gap > 3 * error
    nearer = abs(ours["energy"].mean - 1) < abs(sde["energy"].mean - 1)
    return {
        "switches_below_ode": fewer,
        "standard_errors": gap / error if error else math.inf,
        "energy_nearer_than_sde": nearer,
        "falsified": not (fewer and nearer),
    }


def natural_detail(seed: int = 0, count: int = 64) -> float:
    """Detail energy of the small base's training videos."""
    generator = np.random.default_rng(seed)
    times = torch.arange(float(FRAMES))
    energies = [
        metrics.detail_energy(draw(random_scene(generator), times, SIZE, SIZE)).mean()
        for _ in range(count)
    ]
    return float(torch.stack(energies).mean())


def some_prompt(seed: int) -> str:
    """A prompt of colour-less words, so that the colour is the windows' own affair to agree on."""
    scene = random_scene(np.random.default_rng(seed))
    shape, _, direction, speed = scene.prompt.split()
    return f"{shape} {direction} {speed}"


def plot(result: Table) -> MatplotlibFigure:
    """Every figure of the table as bars with errors."""
    names = list(next(iter(result.values())))
    figure = new_figure(3.2 * len(names), 3.6)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        means = [figures[name].mean for figures in result.values()]
        errors = [figures[name].error for figures in result.values()]
        axes.barh(list(result), means, xerr=errors, color="#4477aa")
        axes.invert_yaxis()
        axes.set_title(name.replace("_", " "))
        if axes is not figure.axes[0]:
            axes.set_yticklabels([])
    return figure
