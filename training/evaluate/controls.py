"""Do the switches and knobs move the sound? What was asked against what is measured.

Each held-out piece gives caption, beat, chords and the notes of its pitched parts; one control is
asked beside them, at several values. Brightness is judged by the spectral centroid, density by the
rate of rises of the mel spectrum, loudness by RMS, drums and bass by shares of energy; beside each
stands what real music says: the same measure of held-out pieces against their own labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from tqdm import tqdm

from lmdm.checkpoints import Model
from lmdm.conditioning.brightness import brightness_frames
from lmdm.conditioning.density import amount_of_rate
from lmdm.conditioning.loudness import level_of_db
from lmdm.conditioning.notes import NoteFrames
from training.data.pieces import Piece
from training.data.shards import Manifest
from training.evaluate.asking import SETTLING, played
from training.evaluate.beats import FRAME_RATE, onset_strength
from training.evaluate.codec import sound_of
from training.evaluate.distances import channels, magnitudes
from training.evaluate.signal import high_share_db, level_db
from training.evaluate.sources import held_out_latents

SAMPLE_RATE, FRAME = 44100, 2048
PIECES, SECONDS = 4, 10.0  # that are played, of each
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
    "drums": Question((0.0, 1.0), high_share_db, "dB above 8 kHz"),
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


def asked_of_model(model: Model, pieces: Sequence[Piece], name: str, frames: int) -> dict[str, Any]:
    """One control's answers."""
    question = QUESTIONS[name]
    skip = round(SETTLING * SAMPLE_RATE)
    rows = []
    for index, piece in enumerate(pieces):
        base = accompanying(piece, name, frames)
        for value in question.values:
            sound = played(model, piece.facts["captions"][0], {**base, name: value}, frames, index)
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
            sound = sound_of(model.codec, piece.latents[:, :frames])
            rows.append((float(np.mean(known[name])), QUESTIONS[name].measure(sound)))
    return {
        "pieces": len(rows),
        "correlation": correlation([row[0] for row in rows], [row[1] for row in rows]),
    }


def evaluate(model: Model, manifest: Manifest) -> dict[str, Any]:
    """Every control that the model hears and that there is a question for.

    Raises:
        InputError: there is no held-out piece long enough.
    """
    frames = round(SECONDS * SAMPLE_RATE / FRAME)
    pieces = held_out_latents(manifest, PIECES, frames)
    heard = model.conditioning.names if model.conditioning is not None else ()
    report: dict[str, Any] = {}
    for name in tqdm([n for n in QUESTIONS if n in heard], desc="controls"):
        found = asked_of_model(model, pieces, name, frames)
        found["real"] = of_real_music(model, pieces, name, frames)
        report[name] = found
    return report
