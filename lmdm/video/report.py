"""report.json and plots: what a run did, in figures and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.weights import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes JSON, beside and renamed. Figures that are not finite become null."""
    text = json.dumps(_plain(report), indent=2, ensure_ascii=False) + "\n"
    write_beside(path, lambda part: part.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def new_figure(width: float = 7.0, height: float = 3.5) -> Figure:
    """An empty figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(path: Path, figure: Figure) -> None:
    """A PNG, beside and renamed."""
    write_beside(path, lambda part: figure.savefig(part, format="png", dpi=110))


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error (0 for a single value)."""
    count = len(values)
    mean = sum(values) / count
    if count == 1:
        return mean, 0.0
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)
