"""Pictures of a report, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate.distances import decibels, magnitudes

SAMPLE_RATE = 44100
SIZE, HOP = 8192, 1024
LOWEST, HIGHEST = 33, 96  # MIDI pitches of the picture: A1 to C7

Array = NDArray[np.float32]
Double = NDArray[np.float64]


def piano_roll_over_spectrogram(path: Path, asked: Array, sound: Array, title: str) -> None:
    """Notes asked [n, 3] as outlines over the spectrogram got, frequency in semitones."""
    plt = _pyplot()
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    level = decibels(magnitudes(np.pad(mono, SIZE // 2), SIZE, HOP))
    pitches = np.arange(LOWEST, HIGHEST, 0.25)
    bins = 440 * 2 ** ((pitches - 69) / 12) / SAMPLE_RATE * SIZE
    by_pitch = np.stack([np.interp(bins, np.arange(level.shape[1]), row) for row in level])
    figure, axes = plt.subplots(figsize=(12, 5), layout="constrained")
    seconds = len(mono) / SAMPLE_RATE
    top = float(by_pitch.max(initial=-80.0))
    axes.imshow(
        by_pitch.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, LOWEST, HIGHEST),
        cmap="magma",
        vmin=top - 60,
        vmax=top,
    )
    for onset, offset, pitch in asked:
        axes.add_patch(
            plt.Rectangle(
                (onset, pitch - 0.5), offset - onset, 1.0, fill=False, color="cyan", lw=0.9
            )
        )
    axes.set(xlabel="time in s", ylabel="MIDI pitch", title=title)
    axes.set_ylim(LOWEST, HIGHEST)
    _save(figure, path)


def average_spectra(path: Path, spectra: Double, spacing: float, title: str) -> None:
    """Original and codec [2, bins] in dB, their difference, and lines each `spacing` Hz."""
    plt = _pyplot()
    frequency = np.linspace(0.0, SAMPLE_RATE / 2, spectra.shape[1])
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(11, 7), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    upper.plot(frequency, spectra[0], lw=0.8, label="original")
    upper.plot(frequency, spectra[1], lw=0.8, label="codec")
    upper.set(ylabel="level in dB", title=title)
    upper.legend()
    lower.plot(frequency, spectra[1] - spectra[0], lw=0.6)
    for multiple in np.arange(1, 9) * spacing:
        lower.axvline(multiple, color="red", lw=0.5, alpha=0.5)
    lower.set(
        xlabel="frequency in Hz (red: multiples of the frame rate)", ylabel="codec less original"
    )
    lower.set(xscale="log", xlim=(18, 20000), ylim=(-12, 12))
    _save(figure, path)


def curves(path: Path, rows: Mapping[str, Sequence[float]], seconds: float, what: str) -> None:
    """One figure by time for every row of a report; real sound and codec in grey."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    for name, values in rows.items():
        times = (np.arange(len(values)) + 0.5) * seconds / max(len(values), 1)
        own = name in ("real audio", "codec round trip")
        style = {"color": "grey", "lw": 2, "ls": "-" if name == "real audio" else "--"}
        axes.plot(times, values, label=name, **(style if own else {"lw": 1}))
    axes.set(xlabel="time in s", ylabel=what.replace("_", " "))
    axes.legend(fontsize=6)
    _save(figure, path)


def agreement(path: Path, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Chroma and rhythm agreement with an input by the blocks of it that were seen ahead."""
    plt = _pyplot()
    figure, both = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, what in zip(both, ("chroma", "rhythm"), strict=True):
        for kind in ("own", "other"):
            seen = {int(n.split()[1]): row[what] for n, row in rows.items() if n.startswith(kind)}
            axes.plot(list(seen), list(seen.values()), marker="o", label=f"{kind} input")
        for kind, style in (("real", "-"), ("random", "--")):
            label = {"real": "real music", "random": "real music, another's input"}[kind]
            axes.axhline(rows[kind][what], color="grey", ls=style, label=label)
        axes.set(xlabel="blocks of the input seen ahead", ylabel=f"{what} agreement")
    both[0].legend(fontsize=7)
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=90)
    _pyplot().close(figure)
