"""Pictures: z-profiles over steps, score histograms, image grids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmdm.figures import new_figure, write_figure
from lmdm.safety.memorization.models import Images

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito


def profiles(path: Path, groups: Mapping[str, NDArray[np.float64]]) -> None:
    """Signed z of the update, mean and quartiles over trajectories; group -> z [N, K, 3]."""
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for (name, z), colour in zip(groups.items(), COLOURS, strict=False):
        low, middle, high = np.quantile(z[:, :, 0], [0.25, 0.5, 0.75], axis=0)
        axes.plot(middle, color=colour, label=f"{name} ({len(z)})")
        axes.fill_between(np.arange(len(middle)), low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="sampler step", ylabel="z of the update's norm")
    axes.legend(frameon=False)
    write_figure(path, figure)


def histogram(path: Path, groups: Mapping[str, NDArray[np.float64]]) -> None:
    """Scores of each group."""
    figure = new_figure(7, 4)
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), 40)
    for (name, scores), colour in zip(groups.items(), COLOURS, strict=False):
        axes.hist(scores, list(edges), color=colour, alpha=0.5, label=name, density=True)
    axes.set(xlabel="S_mem, largest |z| over steps", ylabel="density")
    axes.legend(frameon=False)
    write_figure(path, figure)


def grid(path: Path, rows: Mapping[str, Images]) -> None:
    """A labelled row of images a name."""
    columns = max(len(images) for images in rows.values())
    figure = new_figure(columns, len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for cell in line:
            cell.axis("off")
        for cell, image in zip(line, images, strict=False):
            cell.imshow(image, cmap="gray", vmin=0, vmax=255)
        line[0].set_title(name, fontsize=7, loc="left")
    write_figure(path, figure)
