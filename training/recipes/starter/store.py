"""A piece on disk: sounds, labels.safetensors, piece.json, written so that it appears whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from safetensors.numpy import save_file

from training.recipes.starter.captions import describe_rest
from training.recipes.starter.render import SAMPLE_RATE, Division
from training.recipes.starter.score import LEAD_IN_SECONDS, Performance, Score


def split_of(name: str) -> str:
    """train, validation or test (92/4/4 %) by the hash of the piece's name."""
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 100
    return "train" if bucket < 92 else "validation" if bucket < 96 else "test"


def beat_rate(performance: Performance) -> float:
    """Beats a minute by the beat labels, 0 where there are fewer than two."""
    if len(performance.beats) < 2:
        return 0.0
    return round(60.0 / float(np.median(np.diff(performance.beats[:, 0].astype(np.float64)))), 1)


def is_complete(folder: Path) -> bool:
    """Whether the piece is there; a folder is renamed into place only when whole."""
    return (folder / "piece.json").is_file()


def write_piece(
    folder: Path,
    audio: NDArray[np.float32],
    score: Score,
    performance: Performance,
    seed: int,
    soundfont: str,
    division: Division | None = None,
) -> None:
    """Write one piece; the folder appears in one rename.

    audio: [2, samples] at 44.1 kHz within ±1. soundfont: its name. division: written beside the
    mix as input.flac and rest.flac.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    sounds = {"mix": audio}
    if division is not None:
        sounds |= {"input": division.played_sound, "rest": division.rest_sound}
    for name, sound in sounds.items():
        file = partial / f"{name}.flac"
        soundfile.write(file, sound.T, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    labels = {"notes": performance.notes, "beats": performance.beats, "chords": performance.chords}
    save_file(
        {k: np.ascontiguousarray(v) for k, v in labels.items()}, partial / "labels.safetensors"
    )
    stems = [
        {"name": i.name, "program": i.program, "family": i.family, "is_drum": i.is_drum}
        for i in performance.instruments
    ]
    description = {
        "style": score.style,
        "captions": score.captions,
        "stems": stems,
        "bpm": beat_rate(performance),
        "key": score.key,
        "seconds": round(audio.shape[1] / SAMPLE_RATE, 3),
        "sections": [
            {"name": name, "start": round(LEAD_IN_SECONDS + first * 60.0 / score.bpm, 3)}
            for name, first in score.sections
        ],
        "soundfont": soundfont,
        "licence": f"{score.licence}; soundfont {soundfont}: MIT",
        "source": score.source,
        "split": split_of(folder.name),
        "seed": seed,
    }
    if division is not None:
        rest = [each for i, each in enumerate(performance.instruments) if i not in division.played]
        description["division"] = {
            "input_stems": division.played,
            "captions": describe_rest(rest, score.bpm, score.key),
        }
    text = json.dumps(description, indent=1, ensure_ascii=False)
    (partial / "piece.json").write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
