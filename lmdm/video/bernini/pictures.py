"""What a person looks at: cases with what was asked, given and drawn, and the claims as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.figures import new_figure, write_figure
from lmdm.video.base import to_pictures
from lmdm.video.bernini.evaluate import FAST
from lmdm.video.bernini.rendering import Bernini
from lmdm.video.bernini.tasks import FRAMES, SIZE, TASKS
from lmdm.video.bernini.training import cases_of, collate

MARGIN = 1  # pixels between pictures
PAPER = 1.0  # white, in -1..1
WIDTH = (FRAMES + 1) * (SIZE + MARGIN)  # rv2v: a source and a reference
STRIPS = ("given", "wanted", "drawn", "no plan")


def draw_cases(bernini: Bernini, path: Path, seed: int = 0) -> None:
    """One new case of every task, as `case_sheet` has it."""
    figure = new_figure(12.0, 5.4)
    for axes, task in zip(figure.subplots(2, 2).flat, TASKS, strict=True):
        prompt, sheet = case_sheet(bernini, task, seed)
        axes.imshow(((sheet + 1) / 2).permute(1, 2, 0), interpolation="nearest")
        height = sheet.shape[1] / len(STRIPS)
        axes.set_yticks([height * (index + 0.5) for index in range(len(STRIPS))], STRIPS)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(f'{task}: "{prompt}"', fontsize=10, loc="left")
    write_figure(path, figure)


def case_sheet(bernini: Bernini, task: str, seed: int) -> tuple[str, Tensor]:
    """The prompt of a new case, and [3, H, W] in -1..1: strips of what is given (a source, then
    references), what is wanted, what is drawn, and what is drawn without a plan.
    """
    batch = collate(cases_of(task, 1, np.random.default_rng((seed, TASKS.index(task), 9))))
    settings = replace(FAST, seed=seed)
    drawn = bernini.render(batch, settings).latents
    planless = bernini.render(batch, replace(settings, planned=False)).latents
    given = [*([] if batch.source is None else [batch.source]), *batch.references]
    rows = (given, [batch.target], [drawn], [planless])
    strips = [_strip([latents[0] for latents in row]) for row in rows]
    return batch.cases[0].prompt, torch.cat(strips, dim=1)


def _strip(videos: Sequence[Tensor]) -> Tensor:
    """The frames of latents [3, T, 16, 16] side by side, on paper as wide as the widest case."""
    frames = [frame for video in videos for frame in to_pictures(video).unbind(1)]
    framed = [F.pad(frame, (0, MARGIN, 0, MARGIN), value=PAPER) for frame in frames]
    strip = torch.cat(framed, dim=2) if framed else torch.empty(3, SIZE + MARGIN, 0)
    return F.pad(strip, (0, WIDTH - strip.shape[2]), value=PAPER)


def draw_claims(claims: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel a claim: bars of its rows by attribute, its dial, or its entropies."""
    dials = {"iterative_planning": "agreement", "target_dial": "adherence"}
    columns = min(3, len(claims))
    lines = -(-len(claims) // columns)
    figure = new_figure(4.6 * columns, 3.4 * lines)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(claims) :]:
        axes.set_visible(False)
    for axes, (name, claim) in zip(grid.flat, claims.items(), strict=False):
        if name in dials:
            dial = claim[dials[name]]
            axes.plot([str(key) for key in dial], list(dial.values()), marker="o")
            axes.set_xlabel("planning steps" if name == "iterative_planning" else "omega_tgt")
        elif name == "distribution_head":
            most = claim["largest_entropy"]
            shares = {"drawn": claim["flow_entropy"] / most, "L2 mean": claim["l2_entropy"] / most}
            _bars(axes, {"entropy of the colours, of the most": shares})
        else:
            _bars(axes, claim["rows"])
        axes.set_ylim(0, max(1.02, axes.get_ylim()[1]))
        axes.grid(axis="y", alpha=0.3)
        axes.set_title(name.replace("_", " "))
    write_figure(path, figure)


def _bars(axes: Any, rows: Mapping[str, Mapping[str, float]]) -> None:
    keys = list(next(iter(rows.values())))
    width = 0.8 / len(rows)
    for index, (label, row) in enumerate(rows.items()):
        places = [place + index * width for place in range(len(keys))]
        axes.bar(places, list(row.values()), width, label=label)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(keys))], keys)
    axes.legend(fontsize=7, loc="lower right")
