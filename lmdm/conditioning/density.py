"""Density: how many notes begin, from sparse to busy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmdm.conditioning.control import Array, Control, over_frames

WINDOW_SECONDS = 2.0  # over which onsets are counted
SPARSEST, BUSIEST = 0.5, 32.0  # onsets a second of amount 0 and 1


def amount_of_rate(onsets_per_second: NDArray[np.floating] | float) -> Array:
    """Onsets a second -> amount in [0, 1], each 1/6 a doubling; 0.5 a second and fewer are 0."""
    doublings = np.log2(np.maximum(onsets_per_second, SPARSEST) / SPARSEST)
    return np.clip(doublings / np.log2(BUSIEST / SPARSEST), 0.0, 1.0).astype(np.float32)


def density_frames(
    onsets: NDArray[np.floating], start: int, frames: int, frame_rate: float
) -> Array:
    """[frames] amounts of the frames `start` to `start + frames`.

    onsets: places of notes' beginnings in fractional frames, drums and every note of a chord
    included; they are counted over the two seconds around a frame's centre.
    """
    around = 0.5 * WINDOW_SECONDS * frame_rate
    centres = start + np.arange(frames) + 0.5
    ordered = np.sort(onsets)
    counts = np.searchsorted(ordered, centres + around) - np.searchsorted(ordered, centres - around)
    return amount_of_rate(counts / WINDOW_SECONDS)


class Density(Control[ArrayLike]):
    """given, amount. The value is an amount, one or [frames]; see `amount_of_rate`."""

    name = "density"
    channels = 2
    given = 0
    range = (0.0, 1.0)
    dropout = 0.5
    messages = ("SetDensity",)
    labels = "notes"
    measure = "correlation of the amount asked with the rate of onsets heard"

    def write(self, value: ArrayLike, features: Array) -> None:
        """See `Control.write`."""
        features[0] = 1.0
        features[1] = over_frames(value, features, "density").clip(*self.range)
