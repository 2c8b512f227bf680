"""Matplotlib figures that need no display, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmdm.errors import InputError
from lmdm.weights import write_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float = 7.0, height: float = 3.5) -> Figure:
    """An empty figure of so many inches.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "pictures need matplotlib, which is not installed; install lmdm-live[train]"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def write_figure(path: Path, figure: Figure) -> None:
    """Writes a PNG, beside and renamed."""
    write_beside(path, lambda part: figure.savefig(part, format="png", dpi=120))
