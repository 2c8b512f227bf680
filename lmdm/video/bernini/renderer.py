"""The renderer of the toy: the video transformer with clean source tokens and a plan to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmdm.config import from_dict
from lmdm.video import checkpoint, words
from lmdm.video.bernini.tasks import FRAMES
from lmdm.video.bernini.vit import WIDTH
from lmdm.video.dit import VideoDiT, VideoDiTConfig

KIND = "renderer"
MOST_SEGMENTS = 5  # whole ids up to here; more sources share the range
CONFIG = VideoDiTConfig(
    vocabulary=len(words.VOCABULARY), context_dim=WIDTH, context_grid=(FRAMES // 2, 2, 2)
)  # a plan's tokens stand for two frames and a quarter of the picture each


def segments_of(sources: int) -> tuple[float, ...]:
    """Segment ids of sources in order: 1, 2, ...; more than 5 are spread over 1..5.

    Phases are continuous, so fractional ids stay inside the trained range (SA-3D RoPE).
    """
    if sources <= MOST_SEGMENTS:
        return tuple(float(index + 1) for index in range(sources))
    step = (MOST_SEGMENTS - 1) / (sources - 1)
    return tuple(1 + index * step for index in range(sources))


def build(settings: dict[str, Any]) -> VideoDiT:
    """The network of a config.json."""
    return VideoDiT(from_dict(VideoDiTConfig, settings, "the renderer"))


def load(folder: Path | None = None) -> VideoDiT:
    """A trained renderer; None is the one that comes with the program."""
    return checkpoint.load(checkpoint.shipped_or(folder, KIND), KIND, build)
