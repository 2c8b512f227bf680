"""Sound -> notes by an independent judge: Spotify's basic-pitch, or a spectrum where it is missing.

basic-pitch (Bittner et al., ICASSP 2022; Apache-2.0) is read from its package as an ONNX file; its
own Python is not run, so `pip install --no-deps basic-pitch==0.4.0` is enough. Windows are cut at
whole output frames here, so times need no correction; notes are found as in its note_creation.py,
without the last step ("melodia trick"), which invents onsets.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 22050  # Hz, of both judges' input
HOP = 256  # samples between posteriors
WINDOW = 43844  # samples of basic-pitch's input
WINDOW_FRAMES = 172  # posteriors of one window
MARGIN = 15  # posteriors left out at each side of a window
LOWEST = 21  # MIDI pitch of the first of 88 keys
KEYS = 88
PITCHES = 128

ONSET_THRESHOLD = 0.5
FRAME_THRESHOLD = 0.3
SHORTEST = 5  # frames of a note (58 ms); basic-pitch's default of 11 leaves out fast semiquavers
GAP = 11  # frames that a note may fall below the threshold

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Transcription:
    """What a judge heard.

    pitch, onset: [n, 128] posteriors 0..1 at `frame_rate`; notes: [m, 3] onset s, offset s, pitch.
    """

    judge: str
    frame_rate: float
    pitch: Array
    onset: Array
    notes: Array


class Judge(Protocol):
    """Hears notes in sound."""

    name: str

    def transcribe(self, audio: Array, rate: int) -> Transcription:
        """audio [S] or [S, channels] in -1..1 at `rate` Hz."""
        ...


def best_judge() -> Judge:
    """basic-pitch if it is installed, else the spectrum."""
    path = model_path()
    return SpectrumJudge() if path is None else BasicPitch(path)


def model_path() -> Path | None:
    """basic-pitch's ONNX file; None if the package is not installed."""
    spec = importlib.util.find_spec("basic_pitch")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "saved_models/icassp_2022/nmp.onnx"
    return path if path.exists() else None


def judge_input(audio: Array, rate: int) -> Array:
    """Any sound -> mono [S] at 22.05 kHz."""
    mono = audio if audio.ndim == 1 else audio.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, RATE), dtype=np.float32)


class BasicPitch:
    """The network, on one thread."""

    name = "basic-pitch 0.4.0"

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._network: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def transcribe(self, audio: Array, rate: int) -> Transcription:
        """See `Judge`."""
        sound = judge_input(audio, rate)
        frames = len(sound) // HOP
        kept = WINDOW_FRAMES - 2 * MARGIN - 1
        padded = np.pad(sound, (MARGIN * HOP, WINDOW))
        windows = [padded[at * HOP : at * HOP + WINDOW] for at in range(0, max(frames, 1), kept)]
        pitch, onset = [], []
        for window in windows:
            outputs = self._network.run(
                ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
                {"serving_default_input_2:0": window[None, :, None]},
            )
            pitch.append(outputs[0][0, MARGIN : MARGIN + kept])
            onset.append(outputs[1][0, MARGIN : MARGIN + kept])
        heard = np.concatenate(pitch)[:frames]
        struck = np.concatenate(onset)[:frames]
        notes = notes_of(heard, struck)
        return Transcription(self.name, RATE / HOP, on_keyboard(heard), on_keyboard(struck), notes)


class SpectrumJudge:
    """The fallback: semitone bands of a long spectrum, above the level around them.

    It hears overtones as notes, and a note after silence up to half its window (0.19 s) early; it
    is no match for a trained judge, and reports name it.
    """

    name = "semitone spectrum (fallback; basic-pitch is not installed)"
    size = 8192

    def transcribe(self, audio: Array, rate: int) -> Transcription:
        """See `Judge`."""
        sound = judge_input(audio, rate)
        frames = len(sound) // HOP
        padded = np.pad(sound, self.size // 2)
        window = np.hanning(self.size).astype(np.float32)
        bands = semitone_bands(self.size)
        level = np.empty((frames, KEYS), np.float32)
        for at in range(frames):
            spectrum = np.abs(np.fft.rfft(padded[at * HOP : at * HOP + self.size] * window))
            level[at] = spectrum @ bands
        loudest = level.max(axis=1, keepdims=True)
        floor = max(0.05 * float(level.max(initial=0.0)), 1e-9)
        share = level / np.maximum(loudest, floor)
        left, right = np.roll(share, 1, axis=1), np.roll(share, -1, axis=1)
        pitch = np.where((share >= left) & (share >= right), share, 0.0).astype(np.float32)
        rise = np.maximum(pitch - np.roll(pitch, 8, axis=0), 0.0)
        notes = notes_of(pitch, rise)
        return Transcription(self.name, RATE / HOP, on_keyboard(pitch), on_keyboard(rise), notes)


def semitone_bands(size: int) -> Array:
    """[size // 2 + 1, 88]: each key's band, the quarter tone to both sides of it."""
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    pitch = 69 + 12 * np.log2(np.maximum(frequency, 1e-3) / 440)
    distance = np.abs(pitch[:, None] - (LOWEST + np.arange(KEYS)))
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def on_keyboard(posteriors: Array) -> Array:
    """[n, 88] -> [n, 128] by MIDI pitch."""
    whole = np.zeros((len(posteriors), PITCHES), np.float32)
    whole[:, LOWEST : LOWEST + KEYS] = posteriors
    return whole


def inferred_onsets(pitch: Array, onset: Array, span: int = 2) -> Array:
    """Onsets, and sudden rises of the pitch posterior scaled as high (basic-pitch's own rule)."""
    rises = [pitch - np.pad(pitch, ((n, 0), (0, 0)))[: len(pitch)] for n in range(1, span + 1)]
    rise = np.maximum(np.min(rises, axis=0), 0.0)
    rise[:span] = 0.0
    top = float(rise.max(initial=0.0))
    if top <= 0.0:
        return onset
    return np.maximum(onset, rise * (float(onset.max(initial=0.0)) / top)).astype(np.float32)


def notes_of(pitch: Array, onset: Array) -> Array:
    """Posteriors [n, 88] -> notes [m, 3] onset s, offset s, MIDI pitch, in order of onset."""
    count = len(pitch)
    if count < 3:
        return np.zeros((0, 3), np.float32)
    strikes = inferred_onsets(pitch, onset)
    inner = strikes[1:-1]
    peaks = (inner > strikes[:-2]) & (inner >= strikes[2:]) & (inner >= ONSET_THRESHOLD)
    starts = [(int(at) + 1, int(key)) for at, key in np.argwhere(peaks)]
    energy = pitch.copy()
    found: list[tuple[float, float, float]] = []
    for start, key in reversed(starts):  # the newest first: an earlier note ends where it begins
        end, quiet = start + 1, 0
        while end < count - 1 and quiet < GAP:
            quiet = quiet + 1 if energy[end, key] < FRAME_THRESHOLD else 0
            end += 1
        end -= quiet
        if end - start <= SHORTEST:
            continue
        energy[start:end, max(0, key - 1) : key + 2] = 0.0
        found.append((start * HOP / RATE, end * HOP / RATE, float(key + LOWEST)))
    return np.array(sorted(found), dtype=np.float32).reshape(-1, 3)
