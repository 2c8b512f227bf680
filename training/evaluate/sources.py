"""Held-out pieces, of any data set that `lmdm train encode` can read or that it has encoded."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmdm.errors import InputError
from training.data.labels import labels_of, rhythm_stems
from training.data.layouts.registry import tracks_of
from training.data.pieces import Piece as EncodedPiece
from training.data.pieces import load_pieces
from training.data.shards import Manifest
from training.data.sound import read_sound
from training.data.track import Track
from training.evaluate.pieces import SAMPLE_RATE, Array, Piece


def held_out_tracks(source: Path) -> dict[str, list[Track]]:
    """Tracks by split, as far as there are any: test, then validation, else train.

    A folder of somebody's own music has no splits, so all of it is train. Tracks come in the order
    of their keys' hashes: the first few stand for all of them.

    Raises:
        InputError: see `tracks_of`.
    """
    tracks, _ = tracks_of(source)
    tracks.sort(key=lambda track: hashlib.sha256(track.key.encode()).digest())
    splits = {s: [t for t in tracks if t.split == s] for s in ("test", "validation", "train")}
    found = {name: each for name, each in splits.items() if each}
    if len(found) > 1:
        found.pop("train", None)
    return found


def held_out(source: Path, count: int, seconds: float) -> tuple[list[Piece], str]:
    """At most `count` pieces of `seconds` or more, and which split they are of.

    Raises:
        InputError: no piece is long enough.
    """
    for split, tracks in held_out_tracks(source).items():
        found: list[Piece] = []
        for track in tracks:
            if len(found) == count:
                break
            try:
                piece = piece_of(track)
            except InputError:
                continue
            if piece.seconds >= seconds:
                found.append(piece)
        if found:
            return found, split
    raise InputError(f"{source} holds no piece of {seconds:g} s or more; give fewer --seconds")


def held_out_sounds(source: Path) -> Iterator[Array]:
    """The real sound [S, 2] of all held-out music, beginning with what `held_out` gives."""
    for track in itertools.chain.from_iterable(held_out_tracks(source).values()):
        try:
            yield read_sound(track.audio, SAMPLE_RATE)
        except InputError:
            continue


def held_out_latents(
    manifest: Manifest, count: int, frames: int, divided: bool = False
) -> list[EncodedPiece]:
    """Encoded test pieces, and validation pieces where too few, of `frames` or more.

    Raises:
        InputError: there is none.
    """
    entries = [*manifest.split("test"), *manifest.split("validation")]
    fit = [e for e in entries if e.frames >= frames and (not divided or "division" in e.facts)]
    count = min(count, len(fit))
    # Spread over the corpus, whose names are in order of how they were made.
    chosen = [fit[round(n * (len(fit) - 1) / max(1, count - 1))] for n in range(count)]
    if not chosen:
        kind = "divided " if divided else ""
        raise InputError(f"{manifest.location} holds no held-out {kind}piece of {frames} frames")
    return load_pieces(manifest, chosen)


def piece_of(track: Track) -> Piece:
    """One track with the notes and beats that are known of it.

    Raises:
        InputError: see `read_sound` and `labels_of`.
    """
    audio = read_sound(track.audio, SAMPLE_RATE)
    labels = labels_of(track, 1.0)  # one frame a second: times in seconds
    drums, _ = rhythm_stems(track)
    rows = labels.get("notes", np.zeros((0, 5), np.float32))
    beats = labels.get("beats", np.zeros((0, 2), np.float32))
    chords = labels.get("chords", np.zeros((0, 14), np.float32))
    gaps = np.diff(beats[:, 0])
    return Piece(
        name=track.key,
        caption=track.captions[-1] if track.captions else "",
        bpm=float(60.0 / np.median(gaps)) if len(gaps) else 120.0,
        drums=bool(drums),
        notes=rows[~np.isin(rows[:, 4], drums)][:, :3],
        beats=beats,
        chords=chords,
        audio=audio,
    )
