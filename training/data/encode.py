"""Folders of music -> shards of latents with aligned labels.

Each piece is encoded by one of several processes into a file of its own below OUT/.pieces; when all
pieces of a shard are there, they are packed and the files removed. Killed at any moment and run
again, it goes on from the pieces there are, and ends with the same shards.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from lmdm.conditioning.brightness import brightness_frames
from lmdm.config import read_json, write_json
from lmdm.errors import InputError
from lmdm.weights import sha256, write_beside
from training.data import shards
from training.data.labels import labels_of, loudness_frames, rhythm_stems
from training.data.layouts.registry import tracks_of
from training.data.sound import Audio, codec_hash, encode_sound, read_sound
from training.data.track import Track

SHARD_PIECES = 64
STAGED = ".pieces"
PENDING = 4  # pieces handed out per worker ahead of their turn


@dataclass(frozen=True)
class Encoding:
    """How music is encoded."""

    model: str = "starter"  # whose codec
    layout: str = "auto"
    licence: str = "unknown"  # of files that do not say
    stems: bool = True  # encode stems beside the mix, where there are files of them
    workers: int = 1
    shard_pieces: int = SHARD_PIECES


@dataclass(frozen=True)
class Outcome:
    """What one call did."""

    encoded: int
    kept: int  # pieces that were there already
    skipped: dict[str, str]
    seconds: float  # of all music in the folder
    shards: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "encoded": self.encoded,
            "already_there": self.kept,
            "skipped": self.skipped,
            "hours": round(self.seconds / 3600, 4),
            "shards": self.shards,
        }


def encode(source: Path, out: Path, plan: Encoding) -> Outcome:
    """Encode every piece of a data set that is not in `out` yet.

    Raises:
        InputError: nothing can be encoded, or `out` holds latents of another codec.
        KeyboardInterrupt: Ctrl-C; what is encoded stays, and the same call goes on from there.
    """
    from lmdm import checkpoints

    tracks, skipped = tracks_of(source, plan.layout, plan.licence)
    codec = checkpoints.load_codec(plan.model)[0]
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": shards.FORMAT,
        "version": shards.VERSION,
        "model": plan.model,
        "codec_sha256": codec_hash(codec),
        "sample_rate": codec.sample_rate,
        "frame_samples": codec.frame_samples,
        "latent_channels": codec.latent_channels,
    }
    before = _packed(out, facts)
    known = {entry.key for entry in before}
    waiting = [track for track in tracks if track.key not in known]
    staged = out / STAGED
    staged.mkdir(exist_ok=True)
    encoded = 0
    shard_files = sorted({entry.shard for entry in before})
    number = 1 + max((_number(name) for name in shard_files), default=-1)
    bar = tqdm(total=len(waiting), desc="encode", unit="piece")
    try:
        with _Workers(plan) as workers:
            results = workers.results(waiting, staged)
            # Shards are cut at fixed places of the list, so they do not depend on interruptions.
            for first in range(0, len(tracks), plan.shard_pieces):
                cut = [t for t in tracks[first : first + plan.shard_pieces] if t.key not in known]
                good = []
                for track, problem, fresh in islice(results, len(cut)):
                    if problem:
                        skipped[track.name] = problem
                        tqdm.write(f"skipped {track.name}: {problem}", file=sys.stderr)
                    else:
                        good.append(track)
                    encoded += fresh
                    bar.update()
                if good:
                    name = f"latents-{number:06d}.tar"
                    _pack(out, name, good)
                    shard_files.append(name)
                    number += 1
                    _write_manifest(out, facts, shard_files)
    finally:
        bar.close()
        write_json(out / shards.SKIPPED, skipped)
    _write_manifest(out, facts, shard_files)
    if not any(staged.iterdir()):
        staged.rmdir()
    manifest = shards.read_manifest(out)
    if not manifest.entries:
        raise InputError(
            f"nothing in {source} could be encoded; why is listed in {out / shards.SKIPPED}"
        )
    return Outcome(
        encoded=encoded,
        kept=len(tracks) - len(waiting),
        skipped=skipped,
        seconds=sum(entry.frames for entry in manifest.entries) / manifest.frame_rate,
        shards=len(shard_files),
    )


# -- one piece, in a worker ------------------------------------------------------------------------

_codec: Any = None  # one a process: loading it costs seconds


def _begin(model: str, deaf: bool = True) -> None:
    """A worker: one thread, its own codec, deaf to Ctrl-C (the main process stops it)."""
    global _codec
    import torch

    from lmdm import checkpoints

    if deaf:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        torch.set_num_threads(1)
    _codec = checkpoints.load_codec(model)[0]


def _encode_to(staged: Path, track: Track, stems: bool) -> tuple[str, bool]:
    """Encode one piece into the staging folder: ("" or why not, whether it was not there yet)."""
    facts_file = staged / f"{track.key}.json"
    if facts_file.exists():
        return "", False
    try:
        arrays, facts = encode_track(_codec, track, stems)
    except InputError as problem:
        return str(problem), False
    except Exception as problem:  # a decoder may raise anything on a damaged file
        return f"{type(problem).__name__}: {problem}", False
    tensors = staged / f"{track.key}.safetensors"
    write_beside(tensors, lambda part: save_file(arrays, part))
    write_json(facts_file, facts)
    return "", True


def encode_track(codec: Any, track: Track, stems: bool = True) -> tuple[shards.Arrays, dict]:
    """Arrays and facts of one piece.

    latents [C, T] float16; stem.NAME [C, T] float16 where stems are files; loudness [T] and
    brightness [T]; of notes [n, 5], beats [n, 2], chords [n, 14] what is known (see `labels`); of
    a divided piece, input [C, T], and rest, rest.loudness, rest.brightness as of the whole.

    Raises:
        InputError: the music, one of its stems, or its labels cannot be read.
    """
    rate, size = codec.sample_rate, codec.frame_samples
    audio = read_sound(track.audio, rate)
    latents = encode_sound(codec, audio)
    frames = latents.shape[1]
    if not np.isfinite(latents).all():
        raise InputError(f"{track.audio.name} gives latents that are not finite")
    arrays: shards.Arrays = {"latents": latents, **labels_of(track, rate / size)}
    arrays |= _heard(audio, frames, size, rate)
    if track.division is not None:
        for name, file in (("input", track.division.played), ("rest", track.division.rest)):
            sound = _fitted(read_sound(file, rate), len(audio))
            arrays[name] = encode_sound(codec, sound)
        arrays |= _heard(sound, frames, size, rate, "rest.")
    described = []
    for stem in track.stems:
        tensor = ""
        if stems and stem.audio is not None:
            sound = read_sound(stem.audio, rate, stem.name)
            tensor = f"stem.{stem.name}"
            arrays[tensor] = encode_sound(codec, _fitted(sound, len(audio)))
        described.append(
            {
                "name": stem.name,
                "family": stem.family,
                "program": stem.program,
                "is_drum": stem.is_drum,
                "latents": tensor,
            }
        )
    drums, bass = rhythm_stems(track)
    facts = {
        "key": track.key,
        "name": track.name,
        "source": track.name,
        "sha256": sha256(track.audio),
        "layout": track.layout,
        "split": track.split,
        "licence": track.licence,
        "captions": list(track.captions),
        "stems": described,
        "drum_stems": drums,
        "bass_stems": bass,
        "labels": sorted(set(arrays) & {"notes", "beats", "chords", "loudness", "brightness"}),
        "frames": frames,
        "seconds": round(len(audio) / rate, 3),
        "facts": track.facts,
    }
    if track.division is not None:
        facts["division"] = {
            "input_stems": list(track.division.played_stems),
            "captions": list(track.division.captions),
        }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}, facts


def _heard(audio: Audio, frames: int, size: int, rate: int, prefix: str = "") -> shards.Arrays:
    """What a sound itself says of its frames."""
    return {
        f"{prefix}loudness": loudness_frames(audio, frames, size),
        f"{prefix}brightness": brightness_frames(audio, frames, size, rate),
    }


def _fitted(audio: Audio, samples: int) -> Audio:
    """The sound cut or filled with silence to so many samples."""
    fitted = np.zeros((samples, audio.shape[1]), audio.dtype)
    fitted[: len(audio)] = audio[:samples]
    return fitted


class _Workers:
    """Processes that encode; results come in the order of the tracks.

    Threads: used from the main thread only; the pool has threads of its own.
    """

    def __init__(self, plan: Encoding) -> None:
        self._plan = plan
        self._pool: ProcessPoolExecutor | None
        if plan.workers == 1:  # here, without a process of its own
            self._pool = None
            _begin(plan.model, deaf=False)
            return
        # Spawned: a fork of a process that has used torch can hang.
        self._pool = ProcessPoolExecutor(
            plan.workers,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(plan.model,),
        )

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def results(self, tracks: list[Track], staged: Path) -> Iterator[tuple[Track, str, bool]]:
        """(track, "" or why it was skipped, whether it was encoded now) of each track."""
        if self._pool is None:
            for track in tracks:
                yield (track, *_encode_to(staged, track, self._plan.stems))
            return
        waiting: dict[int, Future[tuple[str, bool]]] = {}
        handed = 0
        for index, track in enumerate(tracks):
            while handed < len(tracks) and handed < index + PENDING * self._plan.workers:
                job = (staged, tracks[handed], self._plan.stems)
                waiting[handed] = self._pool.submit(_encode_to, *job)
                handed += 1
            future = waiting.pop(index)
            while not future.done():
                wait([future], timeout=0.5, return_when=FIRST_COMPLETED)  # Ctrl-C gets through
            try:
                problem, fresh = future.result()
            except BrokenProcessPool:
                raise RuntimeError(
                    f"an encoding process died, perhaps of memory, near {track.name}; run again "
                    "with fewer --workers"
                ) from None
            yield track, problem, fresh


# -- packing ---------------------------------------------------------------------------------------


def _packed(out: Path, facts: dict[str, Any]) -> tuple[shards.Entry, ...]:
    """What `out` holds already."""
    if not (out / shards.MANIFEST).exists():
        return ()
    manifest = shards.read_manifest(out)
    if manifest.facts["codec_sha256"] != facts["codec_sha256"]:
        raise InputError(
            f"{out} holds latents of another codec ({manifest.facts['model']}); give another folder"
        )
    return manifest.entries


def _pack(out: Path, name: str, tracks: list[Track]) -> None:
    staged = out / STAGED
    pieces = []
    for track in tracks:
        facts = read_json(staged / f"{track.key}.json")
        pieces.append((facts, staged / f"{track.key}.safetensors"))
    shards.write_shard(out, name, pieces)


def _write_manifest(out: Path, facts: dict[str, Any], names: list[str]) -> None:
    """Lists the shards, then removes staged pieces that they hold."""
    known = {}
    if (out / shards.MANIFEST).exists():
        known = {s["file"]: s for s in shards.read_manifest(out).facts["shards"]}
    listed, keys = [], []
    for name in names:
        index = json.loads((out / name).with_suffix(".json").read_text(encoding="utf-8"))
        keys += [each["key"] for each in index]
        listed.append(
            known.get(name)
            or {
                "file": name,
                "sha256": sha256(out / name),
                "pieces": len(index),
                "seconds": round(sum(each["seconds"] for each in index), 3),
                "licences": sorted({each["licence"] for each in index}),
            }
        )
    totals = {
        "pieces": sum(each["pieces"] for each in listed),
        "hours": round(sum(each["seconds"] for each in listed) / 3600, 4),
        "licences": sorted({one for each in listed for one in each["licences"]}),
    }
    write_json(out / shards.MANIFEST, {**facts, **totals, "shards": listed})
    for key in keys:
        for suffix in (".json", ".safetensors"):
            (out / STAGED / f"{key}{suffix}").unlink(missing_ok=True)


def _number(name: str) -> int:
    return int(Path(name).stem.rpartition("-")[2])


def default_workers() -> int:
    """One a core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
