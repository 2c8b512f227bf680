"""Brightness: where the middle of the spectrum lies, from dark to bright."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmdm.conditioning.control import Array, Control, over_frames

DARKEST, BRIGHTEST = 200.0, 8000.0  # spectral centroid in Hz of amount 0 and 1
FRAMES = 9  # the spectrum is averaged over so many latent frames, about 0.4 s
SILENCE = 1e-5  # RMS below which a sound is neither dark nor bright: the amount before it goes on


def amount_of_hertz(centroid: NDArray[np.floating] | float) -> Array:
    """Spectral centroid in Hz -> amount in [0, 1], by octaves."""
    octaves = np.log2(np.maximum(centroid, DARKEST) / DARKEST)
    return np.clip(octaves / np.log2(BRIGHTEST / DARKEST), 0.0, 1.0).astype(np.float32)


def brightness_frames(audio: Array, frames: int, frame_samples: int, rate: int) -> Array:
    """audio [S, 2] in [-1, 1] at `rate` Hz -> amount per latent frame [frames].

    The centroid is of the magnitudes of the mid channel's mean power spectrum around the frame.
    """
    mono = audio[: frames * frame_samples].mean(axis=1).reshape(frames, frame_samples)
    window = np.hanning(frame_samples).astype(np.float32)
    power = np.abs(np.fft.rfft(mono * window)).astype(np.float32) ** 2
    summed = np.cumsum(np.pad(power, ((FRAMES // 2 + 1, FRAMES // 2), (0, 0)), mode="edge"), axis=0)
    magnitudes = np.sqrt(np.maximum(summed[FRAMES:] - summed[:-FRAMES], 0.0) / FRAMES)
    hertz = np.fft.rfftfreq(frame_samples, 1.0 / rate).astype(np.float32)
    total = magnitudes.sum(axis=1)
    centroid = magnitudes @ hertz / np.maximum(total, 1e-12)
    heard = np.sqrt((mono**2).mean(axis=1)) > SILENCE
    last = np.maximum.accumulate(np.where(heard, np.arange(frames), 0))
    return amount_of_hertz(centroid[last])


class Brightness(Control[ArrayLike]):
    """given, amount. The value is an amount, one or [frames]; see `amount_of_hertz`."""

    name = "brightness"
    channels = 2
    given = 0
    range = (0.0, 1.0)
    dropout = 0.5
    messages = ("SetBrightness",)
    labels = "brightness"
    measure = "correlation of the amount asked with that of the sound's spectral centroid"

    def write(self, value: ArrayLike, features: Array) -> None:
        """See `Control.write`."""
        features[0] = 1.0
        features[1] = over_frames(value, features, "brightness").clip(*self.range)
