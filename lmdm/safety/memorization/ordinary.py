"""Ordinary playing, from which a memorization light learns what is usual, and how often it errs.

Performances of a session: a prompt, a tempo and a seed each, no notes. All of them set region and
thresholds. How often such thresholds are exceeded is told by halves: each is judged by what the
other half alone would have set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.session import Session
from lmdm.safety.memorization.block_updates import BlockUpdates, stream_setting
from lmdm.safety.memorization.light import (
    CHECK_FRAMES,
    UPDATE_FRAMES,
    Threshold,
    UpdateWitness,
    averaged,
    block_score,
)
from lmdm.safety.memorization.passages import WINDOW_FRAMES, Passages
from lmdm.safety.memorization.region import Region, calibrate, fingerprint
from lmdm.sharding import WHOLE, Shard
from lmdm.weights import read_metadata, write_beside

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

SLOWEST, FASTEST = 70.0, 140.0  # beats a minute
DRAWS = 1000  # of the bootstrap
COPIES = 500  # passages of the corpus that are looked for, each disturbed by noise of
DISTURBANCE = 0.5  # times the spread of the latents
FEWEST = 4  # performances

Tracks = Sequence[Sequence[float]]  # a performance's values, in time


@dataclass(frozen=True)
class Playing:
    """How ordinary performances are played."""

    prompts: tuple[str, ...]
    steps: int
    guidance: float
    performances: int = 32
    seconds: float = 40.0
    seed: int = 0

    def setting(self, model: Model) -> Mapping[str, Any]:
        """See `stream_setting`; guidance acts as the instrument's own."""
        return stream_setting(model, self.steps, self.guidance, Controls.guidance_parallel)


@dataclass(frozen=True)
class Performance:
    """latents [C, T] and the norms of every block's steps [B, K, 3]."""

    latents: Tensor
    norms: Tensor


def perform(model: Model, controls: Controls, blocks: int) -> Performance:
    """Plays a session of so many blocks."""
    session = Session(model, controls)
    session.watch = updates = BlockUpdates()
    latents, norms = [], []
    for _ in range(blocks):
        latents.append(torch.from_numpy(session.next_block().latents))
        taken = updates.taken(controls.guidance, controls.guidance_parallel)
        assert taken is not None
        norms.append(taken)
    return Performance(torch.cat(latents, dim=1), torch.stack(norms))


def performances(
    model: Model, playing: Playing, folder: Path, quiet: bool = False, shard: Shard = WHOLE
) -> list[Performance]:
    """Those of a share, each kept in `folder` when done, so that a run that was cut goes on.

    Raises:
        InputError: too few are asked for; or `folder` holds those of another setting.
    """
    if playing.performances < FEWEST:
        raise InputError(
            f"a light needs {FEWEST} performances or more, not {playing.performances}: each half "
            "tells how often thresholds that the other set would err"
        )
    setting = playing.setting(model)
    key = fingerprint({"setting": dict(setting), "playing": repr(playing)})
    rate = model.codec.sample_rate / model.codec.frame_samples
    blocks = round(playing.seconds * rate / model.stream_config.block_frames)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    mine = shard.share(range(playing.performances))
    for number in tqdm(mine, unit="performance", disable=quiet):
        path = folder / f"{number:04d}.safetensors"
        if not path.exists():
            made = perform(model, _controls(playing, number), blocks)
            tensors = {"latents": made.latents.half(), "norms": made.norms}
            write_beside(path, partial(save_file, tensors, metadata={"key": key}))
        found.append(_read(path, key))
    return found


def _controls(playing: Playing, number: int) -> Controls:
    generator = np.random.default_rng([playing.seed, number])
    prompt = playing.prompts[int(generator.integers(len(playing.prompts)))]
    return Controls(
        prompts=((prompt, 1.0),),
        bpm=float(generator.uniform(SLOWEST, FASTEST)),
        guidance=playing.guidance,
        steps=playing.steps,
        seed=int(generator.integers(2**31)),
        notes_mode="free",
    )


def _read(path: Path, key: str) -> Performance:
    if read_metadata(path).get("key") != key:
        raise InputError(
            f"{path.parent} holds performances of another model or setting; delete it, or give "
            "another --out"
        )
    tensors = load_file(path)
    return Performance(tensors["latents"].float(), tensors["norms"])


def update_witness(
    played: Sequence[Performance], setting: Mapping[str, Any], model: Model, rate: float
) -> UpdateWitness:
    """Region, threshold and false rate of the averaged block scores.

    rate: share of the time that ordinary playing may exceed the threshold.
    """
    block = model.stream_config.block_frames
    first = UPDATE_FRAMES // block  # before, there is less context than usual
    norms = [each.norms[first:] for each in played]

    def region_of(usual: Sequence[Tensor]) -> Region:
        return calibrate([trace for each in usual for trace in each], setting)

    def tracks(region: Region, some: Sequence[Tensor]) -> Tracks:
        return [update_track(region, each, block) for each in some]

    folds = []
    for usual, judged in _swapped(norms):
        region = region_of(usual)
        folds.append((tracks(region, usual), tracks(region, judged)))
    region = region_of(norms)
    seconds = block * _frame_seconds(model)
    return UpdateWitness(region, threshold(tracks(region, norms), folds, rate, seconds))


def update_track(region: Region, norms: Tensor, block_frames: int) -> list[float]:
    """The averaged score after every block, of norms [B, K, 3]."""
    scores = [block_score(region, each) for each in norms]
    return [averaged(scores[: end + 1], block_frames) for end in range(len(scores))]


def nearness(
    played: Sequence[Performance], passages: Passages, model: Model, rate: float
) -> Threshold:
    """The similarity that ordinary playing exceeds for `rate` of the time, and its false rate."""
    tracks = [passage_track(passages, each.latents) for each in played]
    return threshold(tracks, _swapped(tracks), rate, CHECK_FRAMES * _frame_seconds(model))


def passage_track(passages: Passages, latents: Tensor) -> list[float]:
    """Similarity of the nearest passage, as often as the light looks for it."""
    ends = range(WINDOW_FRAMES, latents.shape[1] + 1, CHECK_FRAMES)
    return [passages.nearest(latents[:, end - WINDOW_FRAMES : end]).similarity for end in ends]


def found_share(
    pieces: Sequence[tuple[str, Tensor]], passages: Passages, above: float, seed: int = 0
) -> float:
    """How many of a corpus's own passages come out above a similarity: what the light finds.

    pieces: (name, latents [C, T]), each longer than a window or passed over. Passages begin
    anywhere, and noise of half the latents' spread is added, as a copy that is not exact.
    """
    long = [latents for _, latents in pieces if latents.shape[1] > WINDOW_FRAMES]
    generator = torch.Generator().manual_seed(seed)
    found = 0
    for _ in range(COPIES):
        latents = long[int(torch.randint(len(long), (), generator=generator))]
        start = int(torch.randint(latents.shape[1] - WINDOW_FRAMES, (), generator=generator))
        window = latents[:, start : start + WINDOW_FRAMES]
        noise = torch.randn(window.shape, generator=generator) * passages.spread[:, None]
        found += passages.nearest(window + DISTURBANCE * noise).similarity > above
    return found / COPIES


def threshold(
    tracks: Tracks, folds: Sequence[tuple[Tracks, Tracks]], rate: float, seconds: float
) -> Threshold:
    """The value that is exceeded for `rate` of the time, and how often such a value is.

    folds: of both halves, those that set a value of their own and those it is tried on. seconds:
    between two values of a track. The interval is the bootstrap's over performances, since the
    values of one are not independent; where nothing was exceeded, it reaches as far as performances
    that light all the time could have been missed (their share at 95 %, exactly).

    Raises:
        InputError: a performance so short that its track is empty.
    """
    if not all(tracks):
        raise InputError("the performances are too short to judge; ask for more --seconds")
    above = [
        np.asarray(track) > _exceeded(usual, rate) for usual, judged in folds for track in judged
    ]
    every = np.concatenate(above)
    generator = np.random.default_rng(0)
    drawn = [
        np.concatenate([above[i] for i in generator.integers(0, len(above), len(above))]).mean()
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    if not every.any():
        high = 1.0 - 0.05 ** (1.0 / len(above))
    return Threshold(
        _exceeded(tracks, rate),
        float(every.mean()),
        (float(low), float(high)),
        len(above),
        round(len(every) * seconds / 60.0, 2),
    )


def _exceeded(tracks: Tracks, rate: float) -> float:
    return float(np.quantile(np.concatenate(tracks), 1.0 - rate))


def _swapped(played: Sequence[Any]) -> list[tuple[Sequence[Any], Sequence[Any]]]:
    """(first half, second half) and the other way round."""
    first, second = played[: len(played) // 2], played[len(played) // 2 :]
    return [(first, second), (second, first)]


def _frame_seconds(model: Model) -> float:
    return float(model.codec.frame_samples / model.codec.sample_rate)
