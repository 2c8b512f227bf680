"""Drums: whether there are any."""

from __future__ import annotations

from numpy.typing import ArrayLike

from lmdm.conditioning.control import Array, Control, over_frames


class Drums(Control[ArrayLike]):
    """given, on. The value is true or false, one or [frames]."""

    name = "drums"
    channels = 2
    given = 0
    range = (0.0, 1.0)
    dropout = 0.5
    messages = ("SetDrums",)
    labels = "drums"
    measure = "share of energy above 5 kHz at onsets, drums on against drums off"

    def write(self, value: ArrayLike, features: Array) -> None:
        """See `Control.write`."""
        features[0] = 1.0
        features[1] = over_frames(value, features, "drums") > 0.0
