"""The parts of a model's evaluation, as plain values and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.checkpoints import Model
from training.evaluate import beats, notes, plots, stream
from training.evaluate.codec import (
    CodecReport,
    Excerpt,
    codec_round_trip,
    evaluate_codec,
    recorded_excerpts,
)
from training.evaluate.perform import Settings, perform
from training.evaluate.pieces import SAMPLE_RATE, Piece, looped
from training.evaluate.tracker import MadmomTracker
from training.evaluate.transcribe import Judge

Array = NDArray[np.float32]
SOURCES = ("real render", "codec round trip", "model")
CODEC_SECONDS = 10.0  # of each excerpt


@dataclass(frozen=True)
class Plan:
    """What is measured. Lengths in s."""

    seconds: float = 20.0  # of each test piece
    rollouts: int = 2
    rollout_seconds: float = 60.0
    codec_pieces: int = 8
    recorded: int = 8
    pictures: int = 3
    second_tracker: bool = False  # madmom as well, for beats


def evaluate_notes(
    model: Model, pieces: list[Piece], settings: Settings, judge: Judge, plan: Plan, out: Path
) -> dict[str, Any]:
    """Notes and beats followed: real render, its codec round trip and the model, side by side."""
    totals = {source: notes.NoteScores() for source in SOURCES}
    chances = {source: notes.NoteScores() for source in SOURCES}
    kept = {source: notes.Match() for source in SOURCES}
    tempo: dict[str, list[float]] = {source: [] for source in SOURCES}
    seams: dict[str, list[float]] = {source: [] for source in SOURCES}
    clouds: dict[str, list[Array]] = {"real render": [], "model": []}
    rows, cost = [], []
    second = MadmomTracker() if plan.second_tracker else None
    agreed = {source: notes.Match() for source in SOURCES}
    for index, piece in enumerate(tqdm(pieces, desc="notes")):
        latents, decoded = codec_round_trip(model.codec, piece.audio)
        played = perform(model, piece, settings, piece.seconds)
        cost.append(played.real_time_factor)
        clouds["real render"].append(latents)
        clouds["model"].append(played.latents)
        sounds = dict(zip(SOURCES, (piece.audio, decoded, played.audio), strict=True))
        row: dict[str, Any] = {"piece": piece.name, "style": piece.style, "prompt": piece.caption}
        for source, sound in sounds.items():
            heard = judge.transcribe(sound, SAMPLE_RATE)
            seconds = len(sound) / SAMPLE_RATE
            scores = notes.score(piece.notes, heard, seconds)
            rhythm = beats.score(sound, piece.clock())
            totals[source] += scores
            chances[source] += notes.chance(piece.notes, heard, seconds)
            kept[source] += rhythm.beat
            if second is not None:
                given = beats.beat_times(piece.clock(), seconds)
                agreed[source] += beats.match_beats(given, second.beats(sound))
            tempo[source].append(rhythm.tempo_error)
            seams[source].append(stream.seam_flux_ratio(sound, played.block_samples))
            row[source] = scores.to_dict() | {
                "beat_f1": round(rhythm.beat.f1, 4),
                "tempo_error": round(rhythm.tempo_error, 4),
                "beat_contrast": round(rhythm.contrast, 3),
            }
        rows.append(row)
        if index < plan.pictures:
            for source in ("real render", "model"):
                plots.piano_roll_over_spectrogram(
                    out / f"notes-{piece.name}-{source.split()[0]}.png",
                    piece.notes,
                    sounds[source],
                    f"{piece.name}: notes asked over the sound of the {source}",
                )
    summary = {
        source: {
            **totals[source].to_dict(),
            "chance_chroma_f1": round(chances[source].chroma.f1, 4),
            "chance_onset_f1": round(chances[source].onset.f1, 4),
            "beat_f1": round(kept[source].f1, 4),
            "beat_f1_madmom": None if second is None else round(agreed[source].f1, 4),
            "tempo_within_2_percent": round(float(np.mean(np.array(tempo[source]) < 0.02)), 4),
            "seam_flux_ratio": round(float(np.nanmean(seams[source])), 4),
        }
        for source in SOURCES
    }
    real, made = (np.concatenate(clouds[key], axis=1) for key in ("real render", "model"))
    return {
        "judge": judge.name,
        "pieces": rows,
        "total": summary,
        "latent_frechet": round(stream.frechet_distance(real, made), 3),
        "latent_std_ratio": round(float(np.exp(np.mean(np.log(made.std(1) / real.std(1))))), 4),
        "real_time_factor_one_thread": round(float(np.mean(cost)), 3),
    }


def evaluate_rollouts(
    model: Model, pieces: list[Piece], settings: Settings, plan: Plan, out: Path
) -> list[dict[str, Any]]:
    """Long rollouts over the first pieces, repeated where they are too short; real ones beside."""
    rows: list[dict[str, Any]] = []
    curves: list[tuple[str, stream.Drift]] = []
    window = min(20.0, plan.rollout_seconds / 3)
    for piece in tqdm(pieces[: plan.rollouts], desc="rollouts"):
        long = looped(piece, plan.rollout_seconds)
        reference, _ = codec_round_trip(model.codec, long.audio)
        played = perform(model, long, settings, plan.rollout_seconds)
        third = played.latents.shape[1] // 3
        ends = [
            stream.frechet_distance(reference, each)
            for each in (played.latents[:, :third], played.latents[:, -third:])
        ]
        of_real = stream.drift(long.audio, reference, reference, window)
        of_model = stream.drift(played.audio, played.latents, reference, window)
        curves += [(f"{piece.name} real", of_real), (f"{piece.name} model", of_model)]
        rhythm = beats.score(played.audio, long.clock())
        rows.append(
            {
                "piece": piece.name,
                "seconds": plan.rollout_seconds,
                "seam_flux_ratio": round(
                    stream.seam_flux_ratio(played.audio, played.block_samples), 4
                ),
                "loudness_drift_db": round(of_model.loudness_drift, 3),
                "loudness_drift_of_real_db": round(of_real.loudness_drift, 3),
                "latent_frechet_last_over_first": round(ends[1] / max(ends[0], 1e-9), 4),
                "beat_f1": round(rhythm.beat.f1, 4),
                "tempo_error": round(rhythm.tempo_error, 4),
                "model": of_model.to_dict(),
                "real": of_real.to_dict(),
            }
        )
    if curves:
        plots.drift_curves(out / "drift.png", curves)
    return rows


def evaluate_codecs(
    model: Model, pieces: list[Piece], recorded: Path | None, plan: Plan, out: Path
) -> dict[str, dict[str, object]]:
    """The codec on test renders and, where given, on held-out recordings."""
    length = round(CODEC_SECONDS * SAMPLE_RATE)
    sets = {
        "renders": [Excerpt(p.name, p.audio[:length]) for p in pieces[: plan.codec_pieces]],
    }
    if recorded is not None:
        sets["recordings"] = recorded_excerpts(recorded, plan.recorded, CODEC_SECONDS)
    reports: dict[str, dict[str, object]] = {}
    for name, excerpts in sets.items():
        if not excerpts:
            continue
        report: CodecReport = evaluate_codec(model.codec, excerpts)
        spacing = model.codec.sample_rate / model.codec.frame_samples
        title = f"average spectrum of {name}, {report.seconds:.0f} s"
        plots.average_spectra(out / f"spectrum-{name}.png", report.spectra, spacing, title)
        reports[name] = report.to_dict()
    return reports
