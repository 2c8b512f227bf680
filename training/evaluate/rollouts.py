"""Rows of a report: real sound, the codec's round trip, and every way to play the models.

OUT/rows/NAME.json is a row as soon as it is done: a call that is interrupted goes on.
OUT/reference.safetensors holds the embeddings of real music that all rows are compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from lmdm.checkpoints import Model
from lmdm.config import read_json, write_json
from lmdm.weights import write_beside
from training.evaluate.codec import codec_round_trip, latents_of
from training.evaluate.figures import Judges, Measured, Sound, measure, prompt_adherence, summary
from training.evaluate.perform import Settings, perform
from training.evaluate.pieces import SAMPLE_RATE, Piece, later, looped
from training.evaluate.sources import held_out_sounds

REFERENCE_PATCHES = 1000  # at least, where there is so much held-out music
REAL, ROUND_TRIP = "real audio", "codec round trip"


@dataclass(frozen=True)
class Variant:
    """One way to play one of the models."""

    stage: str  # before or after ARC-Forcing
    strategy: str
    sampler: str
    steps: int
    guidance: float
    primed: bool

    @property
    def name(self) -> str:
        """As files and tables call it."""
        start = "primed" if self.primed else "cold"
        how = f"{self.sampler} K={self.steps} guidance={self.guidance:g}"
        return f"{self.stage} {self.strategy} {how} {start}"


class Rollouts:
    """Plays and measures, one row after another, leaving out what is on disk.

    pieces: the first latent context of each primes, where primed starts are asked for; what is
    played and compared is what comes after it, for `seconds`.
    """

    def __init__(
        self,
        out: Path,
        models: dict[str, Model],
        pieces: Sequence[Piece],
        source: Path,
        judges: Judges,
        seconds: float,
        window: float,
        seeds: int,
    ) -> None:
        self.out, self.models, self.source, self.judges = out, models, source, judges
        self.seconds, self.window, self.seeds = seconds, window, seeds
        model = models["before"]
        self.codec = model.codec
        self.block_frames = model.stream_config.block_frames
        lead = model.stream_config.context_frames * self.codec.frame_samples
        self.primes = [piece.audio[:lead] for piece in pieces]
        self.pieces = [looped(later(piece, lead), seconds) for piece in pieces]

    def measure(self, variants: Sequence[Variant]) -> None:
        """Real sound, the codec's round trip, every variant: each as a file."""
        asked: list[tuple[str, Callable[[], list[Measured]]]] = [
            (REAL, lambda: [self._measure(p, p.audio, latents) for p, latents in self._real()]),
            (ROUND_TRIP, lambda: [self._measure(*each) for each in self._trips()]),
            *((variant.name, partial(self._played, variant)) for variant in variants),
        ]
        for name, found in tqdm(asked, desc="rows", unit="row"):
            kept(self.out / "rows" / f"{name}.json", partial(self._row, found))

    def _row(self, found: Callable[[], list[Measured]]) -> dict[str, Any]:
        measured = found()
        clouds = self.reference, self._real_latents
        row = summary(measured, *clouds, self.window, self.block_frames)
        return row | self._prompts(measured) | {"reference_patches": len(self.reference)}

    @cached_property
    def reference(self) -> NDArray[np.float32]:
        """Embeddings [n, D] of held-out real music, the pieces that are played among it."""
        path = self.out / "reference.safetensors"
        if not path.exists():
            vectors: list[NDArray[np.float32]] = []
            bar = tqdm(total=REFERENCE_PATCHES, desc="reference", unit="patch", leave=False)
            for audio in held_out_sounds(self.source):
                vectors.append(self.judges.embedding.embed(audio, SAMPLE_RATE)[0])
                bar.update(len(vectors[-1]))
                if sum(map(len, vectors)) >= REFERENCE_PATCHES:
                    break
            bar.close()
            whole = {"vectors": np.concatenate(vectors)}
            write_beside(path, lambda part: save_file(whole, part))
        return load_file(path)["vectors"]

    @cached_property
    def _real_latents(self) -> NDArray[Any]:
        return np.concatenate([latents for _, latents in self._real()], axis=1)

    def _real(self) -> Iterator[tuple[Piece, NDArray[Any]]]:
        for piece in self.pieces:
            yield piece, latents_of(self.codec, piece.audio)

    def _trips(self) -> Iterator[tuple[Piece, NDArray[Any], NDArray[Any]]]:
        for piece in self.pieces:
            latents, sound = codec_round_trip(self.codec, piece.audio)
            yield piece, sound, latents

    def _measure(self, piece: Piece, audio: Any, latents: Any, cost: float = 0.0) -> Measured:
        samples = self.block_frames * self.codec.frame_samples
        return measure(Sound(piece, audio, latents, samples, cost), self.judges, self.window)

    def _played(self, variant: Variant) -> list[Measured]:
        model = self.models[variant.stage]
        stream = replace(model.stream_config, strategy=variant.strategy)
        model = replace(model, stream_config=stream)
        found = []
        asked = [
            (seed, piece, prime)
            for seed in range(self.seeds)
            for piece, prime in zip(self.pieces, self.primes, strict=True)
        ]
        for seed, piece, start in tqdm(asked, desc=variant.name, unit="rollout", leave=False):
            prime = latents_of(model.codec, start) if variant.primed else None
            settings = Settings(variant.guidance, variant.steps, variant.sampler, seed)
            played = perform(model, piece, settings, self.seconds, prime)
            cost = played.real_time_factor
            found.append(self._measure(piece, played.audio, played.latents, cost))
        return found

    def _prompts(self, measured: list[Measured]) -> dict[str, float | None]:
        encoder = self.models["before"].text_encoder
        words = self.judges.embedding.words
        if encoder is None or not words:
            return {"prompt_adherence": None}
        captions = [piece.caption for piece in self.pieces]
        times = len(measured) // len(captions)
        tags = np.concatenate([unit(encoder.encode(word)) for word in words])
        asked = np.concatenate([unit(encoder.encode(caption)) for caption in captions] * times)
        return prompt_adherence(measured, tags, asked)


def read_rows(out: Path) -> dict[str, Any]:
    """The rows that a folder holds, real sound first, under the name `rows`; nothing if none."""
    rows = {path.stem: read_json(path) for path in sorted((out / "rows").glob("*.json"))}
    first = {name: rows.pop(name) for name in (REAL, ROUND_TRIP) if name in rows}
    rows = first | rows
    for row in rows.values():
        row["level_db_mean"] = round(float(np.mean(row["level_db"])), 3)
        if ROUND_TRIP in rows:
            row["fad_over_codec"] = round(row["fad_all"] / rows[ROUND_TRIP]["fad_all"], 3)
    return {"rows": rows} if rows else {}


def kept(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is in a file of figures, or what `measure` finds, which is then put there."""
    if path.exists():
        return read_json(path)
    figures = measure()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, figures)
    return figures


def unit(tokens: Any) -> Any:
    """Tokens [N, D] -> their mean, of unit length [1, D]."""
    mean = np.asarray(tokens, np.float64).mean(axis=0, keepdims=True)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)
