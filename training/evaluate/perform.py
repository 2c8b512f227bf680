"""A model plays a held-out piece: the live session, offline."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmdm.checkpoints import Model
from lmdm.live.controls import Controls
from lmdm.live.session import Session
from training.evaluate.pieces import SAMPLE_RATE, Piece

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """How the model is run. None keeps the model's own."""

    guidance: float = 1.0
    steps: int | None = None
    sampler: str | None = None
    seed: int = 1


@dataclass(frozen=True)
class Performance:
    """audio [S, 2] float32 at 44.1 kHz; latents [C, T]; block_samples: distance of block joins."""

    audio: Array
    latents: Array
    block_samples: int
    real_time_factor: float


def perform(
    model: Model,
    piece: Piece,
    settings: Settings,
    seconds: float,
    prime: NDArray[np.float32] | None = None,
) -> Performance:
    """Plays the piece's notes, beat, drum switch and caption for `seconds`; no limiter after it.

    prime: latents [C, n] of what was before; else it starts cold.

    A piece shorter than that falls silent; see `pieces.looped`.
    """
    stream = replace(model.stream_config, guided=settings.guidance != 1.0)
    if settings.sampler is not None:
        stream = replace(stream, sampler=settings.sampler)
        stream = replace(stream, guided=stream.guided or settings.sampler.endswith("++"))
    controls = Controls(
        prompts=((piece.caption, 1.0),),
        guidance=settings.guidance,
        steps=settings.steps,
        bpm=min(max(piece.bpm, 20.0), 400.0),
        drums=piece.drums,
        notes_mode="follow" if len(piece.notes) else "free",
        seed=settings.seed,
    )
    session = Session(replace(model, stream_config=stream), controls)
    session.clock = piece.clock()
    for sample, message in piece.events():
        session.apply(message, sample)
    if prime is not None:
        session.prime(session.tensor(prime))
    begun = time.process_time()
    parts, latents, left = [], [], round(seconds * SAMPLE_RATE)
    while left > 0:
        block = session.next_block()
        parts.append(block.pcm[:left])
        latents.append(block.latents)
        left -= len(parts[-1])
    taken = time.process_time() - begun
    return Performance(
        np.concatenate(parts),
        np.concatenate(latents, axis=1),
        session.block_samples,
        taken / seconds,
    )
