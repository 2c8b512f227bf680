"""Pictures of the theory: written whole, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lmdm.errors import InputError
from lmdm.weights import write_beside


def _figure(columns: int = 1, rows: int = 1, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """A matplotlib figure and its axes, flattened.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "pictures need matplotlib, which is not installed; install lmdm-live[train]"
        ) from None
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def _write(figure: Any, path: Path) -> None:
    write_beside(path, lambda part: figure.savefig(part, format="png", dpi=110))


def scatter(samples: Tensor, fresh: Tensor, title: str, path: Path) -> None:
    """Two samples [N, 2] side by side: the sampler's, and the data's own."""
    figure, axes = _figure(2, size=(4.0, 4.0))
    for axis, points, name in zip(axes, (samples, fresh), (title, "data"), strict=True):
        axis.scatter(*points.T.tolist(), s=3, alpha=0.4)
        axis.set(title=name, xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    _write(figure, path)


def lines(
    panels: Sequence[tuple[str, str, str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]],
    path: Path,
    log: bool = False,
) -> None:
    """Panels (title, x label, y label, curves by name), one beside the other."""
    figure, axes = _figure(len(panels))
    for axis, (title, x_label, y_label, curves) in zip(axes, panels, strict=True):
        for name, (x, y) in curves.items():
            axis.plot(x, y, marker="o" if len(x) < 12 else "", label=name)
        axis.set(title=title, xlabel=x_label, ylabel=y_label)
        if log:
            axis.set(xscale="log", yscale="log")
            x = next(iter(curves.values()))[0]
            axis.set_xticks(x, [f"{each:g}" for each in x], minor=False)
            axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    _write(figure, path)
