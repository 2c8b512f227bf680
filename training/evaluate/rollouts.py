"""What one rollout is measured by, and one row of the table made of several (dossier §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import beats, chords, notes
from training.evaluate.chords import ChordJudge
from training.evaluate.distances import channels, magnitudes
from training.evaluate.embedding import Embedding
from training.evaluate.latent_drift import (
    bootstrap_interval,
    by_window,
    diagonal_kl,
    slope_per_minute,
)
from training.evaluate.pieces import SAMPLE_RATE, Piece
from training.evaluate.stream import frechet_distance, high_share_db, level_db, seam_flux_ratio
from training.evaluate.tracker import MadmomTracker
from training.evaluate.transcribe import Judge

SIZE = 2048  # samples of a spectrum
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """One rollout or real sound: audio [S, 2], latents [C, T], where blocks join, its cost."""

    piece: Piece
    audio: Array
    latents: NDArray[Any]
    block_samples: int
    real_time_factor: float = 0.0


@dataclass(frozen=True)
class Measured:
    """Figures of one sound, by window of time where a list."""

    windows: dict[str, list[float]]  # loudness, centroid, treble, crest, clipped, width
    vectors: list[Array]  # embeddings [n, D] of each window
    tags: Array  # mean tag probabilities
    latents: NDArray[Any]
    seam: float
    followed: dict[str, Any] = field(default_factory=dict)  # notes, chords, beats, as counts
    real_time_factor: float = 0.0


def centroid(sound: Array) -> float:
    """Power-weighted mean frequency in Hz; 0 for silence."""
    power = np.mean(
        [(magnitudes(c, SIZE, SIZE) ** 2).mean(axis=0) for c in channels(sound)], axis=0
    )
    frequency = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE)
    return float(frequency @ power / power.sum()) if power.sum() > 0 else 0.0


def width(sound: Array) -> float:
    """RMS of the side over that of the mid: 0 is mono."""
    mid, side = sound.mean(axis=1), (sound[:, 0] - sound[:, 1]) / 2
    return float(np.sqrt((side**2).mean() / max(float((mid**2).mean()), 1e-12)))


def crest_db(sound: Array) -> float:
    """Peak over RMS in dB."""
    peak = float(np.abs(sound).max(initial=0.0))
    return 20 * np.log10(max(peak, 1e-6)) - level_db(sound)


WINDOWED = {
    "loudness_db": level_db,
    "centroid_hz": centroid,
    "treble_db": high_share_db,
    "crest_db": crest_db,
    "clipped": lambda sound: float((np.abs(sound) > 0.99).mean()),
    "width": width,
}


def measure(
    sound: Sound,
    embedding: Embedding,
    judge: Judge,
    window: float,
    second: MadmomTracker | None = None,
    harmony: ChordJudge | None = None,
) -> Measured:
    """Everything that one sound says for itself; `window` in s.

    second: a trained beat tracker beside our own, which is told the tempo. harmony: judges chords.
    """
    count = max(1, round(len(sound.audio) / SAMPLE_RATE / window))
    parts = np.array_split(sound.audio, count)
    embedded = [embedding.embed(part, SAMPLE_RATE) for part in parts]
    followed: dict[str, Any] = {}
    seconds = len(sound.audio) / SAMPLE_RATE
    if len(sound.piece.notes):
        heard = judge.transcribe(sound.audio, SAMPLE_RATE)
        followed["notes"] = notes.score(sound.piece.notes, heard, seconds)
        followed["chance"] = notes.chance(sound.piece.notes, heard, seconds)
    if harmony is not None and len(sound.piece.chords):
        named = harmony.chords(sound.audio, SAMPLE_RATE)
        followed["chords"] = chords.score(sound.piece.chords, named, seconds)
        followed["chords by chance"] = chords.chance(sound.piece.chords, named, seconds)
    if len(sound.piece.beats) > 1:
        followed["beat"] = beats.score(sound.audio, sound.piece.clock())
        if second is not None:
            given = beats.beat_times(sound.piece.clock(), seconds)
            followed["agreed"] = beats.match_beats(given, second.beats(sound.audio))
    return Measured(
        windows={name: [round(f(p), 5) for p in parts] for name, f in WINDOWED.items()},
        vectors=[vectors for vectors, _ in embedded],
        tags=np.concatenate([tags for _, tags in embedded]).mean(axis=0),
        latents=sound.latents,
        seam=seam_flux_ratio(sound.audio, sound.block_samples),
        followed=followed,
        real_time_factor=sound.real_time_factor,
    )


def summary(
    found: Sequence[Measured],
    reference: Array,
    real_latents: NDArray[Any],
    window: float,
    block_frames: int,
) -> dict[str, Any]:
    """One row: figures by window, pooled over rollouts, with their slopes a minute.

    reference: embeddings [n, D] of real music; every window has equally many, so the bias of
    Fréchet distances by their number is the same in all.
    """
    count = min(len(each.vectors) for each in found)
    times = [(n + 0.5) * window for n in range(count)]
    distance = [
        frechet_distance(np.concatenate([e.vectors[n] for e in found]).T, reference.T)
        for n in range(count)
    ]
    row: dict[str, Any] = {
        "rollouts": len(found),
        "fad": [round(value, 3) for value in distance],
        "fad_mean": round(float(np.mean(distance)), 3),
        "fad_slope_per_minute": round(slope_per_minute(times, distance), 3),
        "fad_last_over_first": round(distance[-1] / max(distance[0], 1e-9), 3),
    }
    divergence = [
        diagonal_kl(cloud, real_latents)
        for cloud in by_window([each.latents for each in found], block_frames)
    ]
    seconds = [(n + 0.5) * block_frames * 2048 / SAMPLE_RATE for n in range(len(divergence))]
    row["latent_kl_per_block"] = [round(value, 4) for value in divergence]
    row["latent_kl_mean"] = round(float(np.mean(divergence)), 4)
    row["latent_kl_slope_per_minute"] = round(slope_per_minute(seconds, divergence), 4)
    for name in WINDOWED:
        curves = [each.windows[name][:count] for each in found]
        row[name] = [round(float(v), 4) for v in np.mean(curves, axis=0)]
        changes = [curve[-1] - curve[0] for curve in curves]
        low, high = bootstrap_interval(changes)
        row[f"{name}_drift"] = round(float(np.mean(changes)), 4)
        row[f"{name}_drift_95"] = [round(low, 4), round(high, 4)]
    row["seam_flux_ratio"] = round(float(np.nanmean([each.seam for each in found])), 4)
    row["real_time_factor"] = round(float(np.mean([e.real_time_factor for e in found])), 3)
    return row | adherence(found)


def adherence(found: Sequence[Measured]) -> dict[str, Any]:
    """Notes, chords and beats followed, beside chance; None where pieces have no such labels."""
    scored = [each.followed for each in found]
    asked = sum((f["notes"] for f in scored if "notes" in f), notes.NoteScores())
    chance = sum((f["chance"] for f in scored if "chance" in f), notes.NoteScores())
    kept = sum((f["beat"].beat for f in scored if "beat" in f), notes.Match())
    agreed = sum((f["agreed"] for f in scored if "agreed" in f), notes.Match())
    harmony, shifted = (
        sum((f[name] for f in scored if name in f), notes.Match())
        for name in ("chords", "chords by chance")
    )
    return {
        "note_chroma_f1": round(asked.chroma.f1, 4) if asked.chroma.asked else None,
        "note_chroma_f1_chance": round(chance.chroma.f1, 4) if chance.chroma.asked else None,
        "note_onset_f1": round(asked.onset.f1, 4) if asked.onset.asked else None,
        "chord_f1": round(harmony.f1, 4) if harmony.asked else None,
        "chord_f1_chance": round(shifted.f1, 4) if shifted.asked else None,
        "beat_f1": round(kept.f1, 4) if kept.asked else None,
        "beat_f1_madmom": round(agreed.f1, 4) if agreed.asked else None,
    }


def prompt_adherence(
    found: Sequence[Measured], words: NDArray[Any], captions: NDArray[Any]
) -> dict[str, float | None]:
    """How much more the sound's tags say its own caption than the others'.

    words [tags, D], captions [rollouts, D]: unit embeddings of the tags' and captions' texts. Each
    sound is the mean of tag embeddings weighted by how far each tag stands above its mean over all
    sounds; adherence is its cosine with its own caption less the mean cosine with other captions.
    """
    if not len(words) or len(found) < 2:
        return {"prompt_adherence": None}
    tags = np.stack([each.tags for each in found])
    heard = (tags - tags.mean(axis=0)) @ words
    heard /= np.maximum(np.linalg.norm(heard, axis=1, keepdims=True), 1e-9)
    cosine = heard @ captions.T
    own = np.diag(cosine)
    others = (cosine.sum(axis=1) - own) / (len(found) - 1)
    return {"prompt_adherence": round(float((own - others).mean()), 4)}
