"""Pictures: z-profiles over steps, score histograms, image grids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmdm.safety.memorization.models import Images
from lmdm.weights import write_beside

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito


def profiles(path: Path, groups: Mapping[str, NDArray[np.float64]]) -> None:
    """Signed z of the update, mean and quartiles over trajectories; group -> z [N, K, 3]."""
    figure, axes = _figure()
    for (name, z), colour in zip(groups.items(), COLOURS, strict=False):
        low, middle, high = np.quantile(z[:, :, 0], [0.25, 0.5, 0.75], axis=0)
        axes.plot(middle, color=colour, label=f"{name} ({len(z)})")
        axes.fill_between(np.arange(len(middle)), low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="sampler step", ylabel="z of the update's norm")
    axes.legend(frameon=False)
    _save(figure, path)


def histogram(path: Path, groups: Mapping[str, NDArray[np.float64]]) -> None:
    """Scores of each group."""
    figure, axes = _figure()
    edges = np.histogram_bin_edges(np.concatenate(list(groups.values())), 40)
    for (name, scores), colour in zip(groups.items(), COLOURS, strict=False):
        axes.hist(scores, edges, color=colour, alpha=0.5, label=name, density=True)
    axes.set(xlabel="S_mem, largest |z| over steps", ylabel="density")
    axes.legend(frameon=False)
    _save(figure, path)


def grid(path: Path, rows: Mapping[str, Images]) -> None:
    """A labelled row of images a name."""
    import matplotlib.pyplot as plt

    columns = max(len(images) for images in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(columns, len(rows)), squeeze=False, layout="constrained"
    )
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for cell in line:
            cell.axis("off")
        for cell, image in zip(line, images, strict=False):
            cell.imshow(image, cmap="gray", vmin=0, vmax=255)
        line[0].set_title(name, fontsize=7, loc="left")
    _save(figure, path)


def _figure() -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(7, 4), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    write_beside(path, lambda part: figure.savefig(part, format="png", dpi=130))
    plt.close(figure)
