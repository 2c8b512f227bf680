"""Pictures of the theory: written whole, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lmdm.figures import new_figure, write_figure


def scatter(samples: Tensor, fresh: Tensor, title: str, path: Path) -> None:
    """Two samples [N, 2] side by side: the sampler's, and the data's own."""
    figure = new_figure(8.0, 4.0)
    panels = ((samples, title), (fresh, "data"))
    for axis, (points, name) in zip(figure.subplots(1, 2), panels, strict=True):
        axis.scatter(*points.T.tolist(), s=3, alpha=0.4)
        axis.set(title=name, xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    write_figure(path, figure)


def lines(
    panels: Sequence[tuple[str, str, str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]],
    path: Path,
    log: bool = False,
) -> None:
    """Panels (title, x label, y label, curves by name), one beside the other."""
    figure = new_figure(5.0 * len(panels), 4.0)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, x_label, y_label, curves) in zip(row, panels, strict=True):
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
    write_figure(path, figure)
