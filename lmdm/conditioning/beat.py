"""Beat: where each latent frame lies in its beat and its bar, and the tempo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmdm.conditioning.control import Array, Control, over_frames


@dataclass(frozen=True)
class BeatFrames:
    """Phases are taken at the frame's centre.

    beat_phase: [frames] in [0, 1), 0 on the beat.
    bar_phase: [frames] in [0, 1), 0 on the downbeat.
    bpm: [frames] or a number, beats a minute, above 0; 0 where the beat is unknown.
    """

    beat_phase: NDArray[np.floating]
    bar_phase: NDArray[np.floating]
    bpm: NDArray[np.floating] | float

    @classmethod
    def from_positions(
        cls,
        beats: NDArray[np.floating],
        bpm: NDArray[np.floating] | float,
        beats_per_bar: float = 4,
    ) -> BeatFrames:
        """From beats since a downbeat at each frame's centre [frames]."""
        positions = np.asarray(beats, np.float64)
        return cls(positions % 1.0, positions / beats_per_bar % 1.0, bpm)

    @classmethod
    def from_beats(
        cls, beats: NDArray[np.floating], start: int, frames: int, frame_rate: float
    ) -> BeatFrames:
        """The frames `start` to `start + frames` of a beat list; unknown outside the listed beats.

        beats: [n, 2] = frame (fractional, rising), beat in the bar (0 the downbeat).
        frame_rate: latent frames a second.
        """
        centres = start + np.arange(frames) + 0.5
        if len(beats) < 2:
            return cls(np.zeros(frames), np.zeros(frames), np.zeros(frames))
        at, index = beats[:, 0].astype(np.float64), beats[:, 1].astype(np.float64)
        before = np.clip(np.searchsorted(at, centres, side="right") - 1, 0, len(at) - 2)
        length = at[before + 1] - at[before]
        phase = np.clip((centres - at[before]) / length, 0.0, np.nextafter(1.0, 0.0))
        bar_phase = (index[before] + phase) / _beats_per_bar(index)[before] % 1.0
        known = (centres >= at[0]) & (centres < at[-1])
        return cls(phase, bar_phase, np.where(known, 60.0 * frame_rate / length, 0.0))


def _beats_per_bar(index: NDArray[np.floating]) -> NDArray[np.floating]:
    """For each beat of a list, how many beats its bar has.

    The first and last bars may be cut: they count as long as their neighbours at least.
    """
    bar = np.cumsum(index == 0)
    counts = np.zeros(int(bar[-1]) + 1)
    np.maximum.at(counts, bar, index + 1)
    if len(counts) > 2:
        counts[0] = max(counts[0], counts[1])
        counts[-1] = max(counts[-1], counts[-2])
    return counts[bar]


class Beat(Control[BeatFrames]):
    """given, sin and cos of the beat phase, sin and cos of the bar phase, log2(bpm / 120)."""

    name = "beat"
    channels = 6
    given = 0
    range = (-4.0, 4.0)
    dropout = 0.2
    messages = ("SetTempo", "SetBeat")
    labels = "beats"
    measure = "beat F1 (70 ms) of a beat tracker against the given beats"

    def write(self, value: BeatFrames, features: Array) -> None:
        """See `Control.write`."""
        beat = 2.0 * np.pi * over_frames(value.beat_phase, features, "beat_phase")
        bar = 2.0 * np.pi * over_frames(value.bar_phase, features, "bar_phase")
        bpm = over_frames(value.bpm, features, "bpm")
        known = bpm > 0.0
        tempo = np.clip(np.log2(np.where(known, bpm, 120.0) / 120.0), *self.range)
        features[0] = 1.0
        features[1:5] = np.sin(beat), np.cos(beat), np.sin(bar), np.cos(bar)
        features[5] = tempo
        features *= known
