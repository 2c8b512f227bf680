"""Held-out pieces of any data set that `lmdm train encode` can read, for evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lmdm.errors import InputError
from training.data.labels import labels_of, rhythm_stems
from training.data.layouts.registry import tracks_of
from training.data.sound import read_sound
from training.data.track import Track
from training.evaluate.pieces import SAMPLE_RATE, Piece


def held_out(source: Path, count: int, seconds: float) -> tuple[list[Piece], str]:
    """At most `count` pieces of `seconds` or more, and which split they are of.

    Test pieces if there are such, else validation, else any: a folder of somebody's own music has
    no splits.

    Raises:
        InputError: no piece is long enough.
    """
    tracks, _ = tracks_of(source)
    for split in ("test", "validation", "train"):
        found: list[Piece] = []
        for track in tracks:
            if track.split != split or len(found) == count:
                continue
            try:
                piece = piece_of(track)
            except InputError:
                continue
            if piece.seconds >= seconds:
                found.append(piece)
        if found:
            return found, split
    raise InputError(f"{source} holds no piece of {seconds:g} s or more; give fewer --seconds")


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
        style=track.facts.get("style", track.layout),
        families=tuple(stem.family for stem in track.stems),
        bpm=float(60.0 / np.median(gaps)) if len(gaps) else 120.0,
        drums=bool(drums),
        notes=rows[~np.isin(rows[:, 4], drums)][:, :3],
        beats=beats,
        chords=chords,
        audio=audio,
    )
