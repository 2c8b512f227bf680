"""Bass: whether there is a bass part."""

from __future__ import annotations

from numpy.typing import ArrayLike

from lmdm.conditioning.control import Array, Control, over_frames


class Bass(Control[ArrayLike]):
    """given, on. The value is true or false, one or [frames]."""

    name = "bass"
    channels = 2
    given = 0
    range = (0.0, 1.0)
    dropout = 0.5
    messages = ("SetBassMute",)
    labels = "bass"
    measure = "share of energy below 150 Hz, bass on against bass off"

    def write(self, value: ArrayLike, features: Array) -> None:
        """See `Control.write`."""
        features[0] = 1.0
        features[1] = over_frames(value, features, "bass") > 0.0
