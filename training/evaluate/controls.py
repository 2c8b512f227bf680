"""Do the switches and knobs move the sound? What was asked against what is measured.

python -m training.evaluate.controls MODEL --latents DIR [--pieces 4] [--seconds 10] [--out FILE]

Each held-out piece gives caption, beat, chords and the notes of its pitched parts; one control is
asked beside them, at several values. Brightness is judged by the spectral centroid, density by the
rate of rises of the mel spectrum, loudness by RMS, drums and bass by shares of energy; beside each
stands what real music says: the same measure of held-out pieces against their own labels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import find_peaks
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.conditioning.brightness import brightness_frames
from lmdm.conditioning.density import amount_of_rate
from lmdm.conditioning.loudness import level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from training.data.pieces import Piece, load_pieces
from training.data.shards import read_manifest
from training.evaluate.asking import SETTLING, played, sound_of
from training.evaluate.beats import FRAME_RATE, onset_strength
from training.evaluate.distances import channels, magnitudes
from training.evaluate.judgement import tell
from training.evaluate.stream import high_share_db, level_db

SAMPLE_RATE, FRAME = 44100, 2048
LOW_HERTZ = 150.0
RISE_DB = 3.0  # an onset is a peak of at least so much rise per 10 ms, mean over mel bands
Array = NDArray[np.float32]


def brightness(sound: Array) -> float:
    """Mean amount of brightness."""
    return float(brightness_frames(sound, len(sound) // FRAME, FRAME, SAMPLE_RATE).mean())


def density(sound: Array) -> float:
    """Amount of density of the onsets heard; those of a chord count once."""
    peaks, _ = find_peaks(onset_strength(sound), height=RISE_DB, distance=0.04 * FRAME_RATE)
    return float(amount_of_rate(len(peaks) / (len(sound) / SAMPLE_RATE)))


def low_share_db(sound: Array) -> float:
    """Energy below 150 Hz against the whole, in dB."""
    power = np.mean(
        [(magnitudes(c, 8192, 4096) ** 2).mean(axis=0) for c in channels(sound)], axis=0
    )
    low = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE) < LOW_HERTZ
    return float(10 * np.log10(max(float(power[low].sum() / max(power.sum(), 1e-20)), 1e-12)))


class Question(NamedTuple):
    """The values that are asked of one control, and how the answer is measured."""

    values: tuple[float, ...]
    measure: Callable[[Array], float]
    unit: str


QUESTIONS = {
    "brightness": Question((0.3, 0.45, 0.6, 0.75), brightness, "amount"),
    "density": Question((0.1, 0.35, 0.6, 0.85), density, "amount"),
    "loudness": Question(
        tuple(level_of_db(db) for db in (-32.0, -26.0, -20.0, -14.0)),
        lambda sound: level_of_db(level_db(sound)),
        "level",
    ),
    "drums": Question((0.0, 1.0), high_share_db, "dB above 5 kHz"),
    "bass": Question((0.0, 1.0), low_share_db, "dB below 150 Hz"),
}


def correlation(asked: Sequence[float], measured: Sequence[float]) -> float | None:
    """Pearson's; None where one side does not move."""
    if len(asked) < 2 or np.std(asked) < 1e-9 or np.std(measured) < 1e-9:
        return None
    return round(float(np.corrcoef(asked, measured)[0, 1]), 3)


def accompanying(piece: Piece, name: str, frames: int) -> dict[str, Any]:
    """What is asked beside one control: beat, chords, and the notes of neither bass nor drums.

    Density is asked without notes, which would say it, but at a loudness, so that there is music.
    """
    known = piece.controls(0, frames)
    base: dict[str, Any] = {each: known[each] for each in ("beat", "chord") if each in known}
    if name == "density":
        return base | {"loudness": level_of_db(-20.0)}
    if "notes" in piece.arrays:
        rhythm = [*piece.facts["drum_stems"], *piece.facts.get("bass_stems", ())]
        notes = piece.arrays["notes"]
        pitched = notes[~np.isin(notes[:, 4], rhythm)]
        base["notes"] = NoteFrames.from_notes(pitched, 0, frames)
    return base


def asked_of_model(
    model: Model, pieces: Sequence[Piece], name: str, frames: int, guidance: float
) -> dict[str, Any]:
    """One control's answers."""
    question = QUESTIONS[name]
    skip = round(SETTLING * SAMPLE_RATE)
    rows = []
    for index, piece in enumerate(pieces):
        base = accompanying(piece, name, frames)
        for value in question.values:
            sound = played(
                model, piece.facts["captions"][0], {**base, name: value}, frames, index, guidance
            )
            rows.append((value, question.measure(sound[skip:])))
    asked, measured = [row[0] for row in rows], [row[1] for row in rows]
    return {
        "unit": question.unit,
        "correlation": correlation(asked, measured),
        "measured": {
            f"{value:g}": round(float(np.mean([m for a, m in rows if a == value])), 3)
            for value in question.values
        },
    }


def of_real_music(model: Model, pieces: Sequence[Piece], name: str, frames: int) -> dict[str, Any]:
    """The same measure of real pieces (their latents decoded) against their labels."""
    rows = []
    for piece in pieces:
        known = piece.controls(0, min(frames, piece.frames))
        if name in known:
            sound = sound_of(model, piece.latents[:, :frames])
            rows.append((float(np.mean(known[name])), QUESTIONS[name].measure(sound)))
    return {
        "pieces": len(rows),
        "correlation": correlation([row[0] for row in rows], [row[1] for row in rows]),
    }


def evaluate(
    model: Model, pieces: Sequence[Piece], seconds: float, guidance: float, names: Sequence[str]
) -> dict[str, Any]:
    """Every control that the model hears and that there is a question for."""
    frames = round(seconds * SAMPLE_RATE / FRAME)
    heard = model.conditioning.names if model.conditioning is not None else ()
    report: dict[str, Any] = {"model": model.name, "sha256": model.sha256, "controls": {}}
    for name in tqdm([n for n in names if n in heard], disable=not sys.stderr.isatty()):
        found = asked_of_model(model, pieces, name, frames, guidance)
        found["real"] = of_real_music(model, pieces, name, frames)
        report["controls"][name] = found
    return report


def held_out_latents(location: Path, count: int, frames: int, divided: bool = False) -> list[Piece]:
    """Test pieces, and validation pieces where there are too few, of `frames` or more.

    Raises:
        InputError: there is none.
    """
    manifest = read_manifest(location)
    entries = [*manifest.split("test"), *manifest.split("validation")]
    fit = [e for e in entries if e.frames >= frames and (not divided or "division" in e.facts)]
    count = min(count, len(fit))
    # Spread over the corpus, whose names are in order of how they were made.
    chosen = [fit[round(n * (len(fit) - 1) / max(1, count - 1))] for n in range(count)]
    if not chosen:
        kind = "divided " if divided else ""
        raise InputError(f"{location} holds no held-out {kind}piece of {frames} frames")
    return load_pieces(manifest, chosen)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="controls asked against sound measured")
    parser.add_argument("model", help="model name or folder")
    parser.add_argument("--latents", type=Path, required=True, help="what train encode wrote")
    parser.add_argument("--pieces", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--controls", nargs="+", default=list(QUESTIONS), choices=list(QUESTIONS))
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = round(options.seconds * SAMPLE_RATE / FRAME)

    def judge() -> dict[str, Any]:
        pieces = held_out_latents(options.latents, options.pieces, frames)
        return evaluate(
            load(options.model), pieces, options.seconds, options.guidance, options.controls
        )

    tell(judge, options.out)


if __name__ == "__main__":
    main()
