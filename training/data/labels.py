"""What is known of a piece over time: from labels, from MIDI, and loudness from its sound.

Times are latent frames (fractional). A label that is unknown is absent, never guessed: the control
it would feed is then left open in training, as it is when a musician leaves it open.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lmdm.conditioning.loudness import level_of_rms
from lmdm.errors import InputError
from training.data.track import Track

Array = NDArray[np.float32]
NOTE_COLUMNS = 5  # first frame, end frame, pitch, velocity, stem
CHORD_COLUMNS = 14  # first frame, end frame, chroma C..B
LOUDNESS_FRAMES = 9  # about 0.4 s
DRUM_SECONDS = 0.15  # a drum hit's length where MIDI holds it shorter
BASS_PROGRAMS = range(32, 40)  # of General MIDI
CHORD_BEATS = 2  # chords of MIDI are what sounds in so many beats
CHORD_SHARE = 0.25  # a pitch class belongs to a chord if it sounds this share of its time


def labels_of(track: Track, frame_rate: float) -> dict[str, Array]:
    """notes [n, 5], beats [n, 2] (frame, beat in bar), chords [n, 14]; only what is known.

    Raises:
        InputError: a label file is there but cannot be read.
    """
    if track.labels is not None:
        return rendered_labels(track.labels, frame_rate)
    if track.midi:
        return midi_labels(track, frame_rate)
    return {}


def rendered_labels(path: Path, frame_rate: float) -> dict[str, Array]:
    """The labels of a rendered piece, in seconds there."""
    try:
        labels = load_file(path)
        notes, beats, chords = (labels[k].astype(np.float32) for k in ("notes", "beats", "chords"))
    except (OSError, KeyError, SafetensorError) as problem:
        raise InputError(f"{path.name} cannot be read: {problem}") from None
    notes[:, :2] *= frame_rate
    beats[:, 0] *= frame_rate
    chords[:, :2] *= frame_rate
    return {"notes": notes, "beats": beats, "chords": chords}


def midi_labels(track: Track, frame_rate: float) -> dict[str, Array]:
    """Notes, beats and sounding chords of a piece's MIDI. Pedals are passed over."""
    import pretty_midi

    rows: list[tuple[float, float, int, int, int]] = []
    beats = np.zeros((0, 2), np.float32)
    drums: set[int] = {index for index, stem in enumerate(track.stems) if stem.is_drum}
    for index, path in enumerate(track.midi):
        try:
            midi = pretty_midi.PrettyMIDI(str(path))
        except Exception as problem:  # mido raises whatever a malformed byte leads to
            raise InputError(f"{path.name} is not a MIDI file: {problem}") from None
        if index == 0:
            beats = _beats(midi)
        for number, instrument in enumerate(midi.instruments):
            stem = index if track.midi_is_stems else number
            if instrument.is_drum:
                drums.add(stem)
            shortest = DRUM_SECONDS if instrument.is_drum else 0.0
            rows += [
                (n.start, max(n.end, n.start + shortest), n.pitch, n.velocity, stem)
                for n in instrument.notes
            ]
    notes = np.array(sorted(rows), np.float32).reshape(-1, NOTE_COLUMNS)
    chords = sounding_chords(notes[~np.isin(notes[:, 4], list(drums))], beats[:, 0])
    notes[:, :2] *= frame_rate
    beats[:, 0] *= frame_rate
    chords[:, :2] *= frame_rate
    found = {"notes": notes, "beats": beats, "chords": chords}
    return {name: rows for name, rows in found.items() if len(rows)}


def rhythm_stems(track: Track) -> tuple[list[int], list[int]]:
    """Indices of `notes[:, 4]` that are drums, and that are bass, by the stems or by the MIDI."""
    stems = [(each.is_drum, each.family, each.program) for each in track.stems]
    if track.midi and not track.midi_is_stems:
        import pretty_midi

        instruments = pretty_midi.PrettyMIDI(str(track.midi[0])).instruments
        stems = [(each.is_drum, "", each.program) for each in instruments]
    drums = [index for index, (is_drum, _, _) in enumerate(stems) if is_drum]
    bass = [
        index
        for index, (is_drum, family, program) in enumerate(stems)
        if not is_drum and (family.lower() == "bass" or program in BASS_PROGRAMS)
    ]
    return drums, bass


def _beats(midi: object) -> Array:
    """[n, 2] = seconds, beat in bar from 0."""
    times = np.asarray(midi.get_beats(), np.float64)  # type: ignore[attr-defined]
    downbeats = np.asarray(midi.get_downbeats(), np.float64)  # type: ignore[attr-defined]
    if not len(times):
        return np.zeros((0, 2), np.float32)
    place, rows = 0, []
    for time in times:
        place = 0 if len(downbeats) and np.abs(downbeats - time).min() < 1e-3 else place
        rows.append((time, place))
        place += 1
    return np.array(rows, np.float32)


def sounding_chords(notes: Array, beats: Array) -> Array:
    """[n, 14] in the notes' own unit of time: what sounds in each two beats."""
    edges = beats[::CHORD_BEATS]
    if len(edges) < 2 or not len(notes):
        return np.zeros((0, CHORD_COLUMNS), np.float32)
    rows = []
    for start, end in pairwise(edges):
        held = np.zeros(12)
        overlap = np.minimum(notes[:, 1], end) - np.maximum(notes[:, 0], start)
        np.add.at(held, notes[:, 2].astype(int) % 12, np.maximum(overlap, 0.0))
        members = (held >= CHORD_SHARE * (end - start)).astype(np.float32)
        if members.any():
            rows.append(np.concatenate([[start, end], members]))
    return np.array(rows, np.float32).reshape(-1, CHORD_COLUMNS)


def loudness_frames(audio: Array, frames: int, frame_samples: int) -> Array:
    """audio [S, 2] -> loudness level per latent frame over about 0.4 s [frames]."""
    power = (audio[: frames * frame_samples] ** 2).mean(axis=1)
    per_frame = power.reshape(frames, frame_samples).mean(axis=1)
    around = LOUDNESS_FRAMES // 2
    kernel = np.ones(LOUDNESS_FRAMES) / LOUDNESS_FRAMES
    smooth = np.convolve(np.pad(per_frame, around, mode="edge"), kernel, mode="valid")
    return np.array([level_of_rms(float(np.sqrt(p))) for p in smooth], dtype=np.float32)
