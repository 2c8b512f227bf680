"""What a local control is: a value over latent frames, written as channels beside the latents.

A control lives in one file of this package, as one subclass of `Control`; the registry finds it
there. Live playing and training call the same `features`, so a model hears a held chord exactly as
it heard the labelled chords it was trained on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Lane = Literal["instant", "block", "scene"]
Value = TypeVar("Value")


class Control(ABC, Generic[Value]):
    """One named group of channels.

    Channel values are bounded by `range`. One channel of the group, `given`, is 1 where the control
    has a value; where it has none (unknown in the data, dropped in training, left to the model by
    the musician) every channel of the group is 0.
    """

    name: ClassVar[str]
    channels: ClassVar[int]
    given: ClassVar[int]  # index of the channel that says: there is a value
    lane: ClassVar[Lane] = "block"
    range: ClassVar[tuple[float, float]]  # lowest and highest channel value
    dropout: ClassVar[float]  # share of training examples without this control
    messages: ClassVar[tuple[str, ...]]  # kinds of `lmdm.live.messages` that set it
    labels: ClassVar[str]  # name of the label array that yields it in training
    measure: ClassVar[str]  # how evaluation says whether the music follows it

    @abstractmethod
    def write(self, value: Value, features: Array) -> None:
        """Writes the value into `features` [channels, frames], which holds zeros."""

    def features(self, value: Value | None, frames: int) -> Array:
        """[channels, frames] float32; zeros when `value` is None.

        Raises:
            ValueError: the value's arrays are not `frames` long.
        """
        features = np.zeros((self.channels, frames), np.float32)
        if value is not None:
            self.write(value, features)
        return features


def over_frames(values: object, features: Array, what: str, rows: int | None = None) -> Array:
    """`values` as [frames], or [rows, frames], for writing into `features`.

    A value without a frame axis holds for every frame.

    Raises:
        ValueError: the shape fits neither form.
    """
    array = np.asarray(values, np.float32)
    frames = features.shape[1]
    shape = (frames,) if rows is None else (rows, frames)
    if array.shape == shape[:-1]:
        array = np.broadcast_to(array[..., None], shape)
    if array.shape != shape:
        raise ValueError(f"{what} has shape {array.shape}, not {shape}: one value per latent frame")
    return array
