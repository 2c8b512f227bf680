"""Bars of music as tokens: two chords, sixteen steps of melody, sixteen of drums.

A bar of four beats is 34 tokens of one vocabulary of 72: chord x 2 (a half bar each), melody x 16,
drums x 16 (sixteenth notes). Which tokens may stand at a place follows from the place alone.

    melody   hold (what sounds goes on), rest, or a pitch that is struck, MIDI 48..84
    chord    none, or one of 24 triads: C, C#, ... B major, then minor
    drums    which of kick, snare and cymbals are struck: none, k, s, ks, c, kc, sc, ksc
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.errors import InputError

STEPS = 16  # a bar
BAR = 2 + 2 * STEPS  # tokens a bar
LOWEST, HIGHEST = 48, 84
ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
DRUMS = ("-", "k", "s", "ks", "c", "kc", "sc", "ksc")
HOLD, REST, FIRST_PITCH = 0, 1, 2
NO_CHORD = FIRST_PITCH + HIGHEST - LOWEST + 1
FIRST_CHORD = NO_CHORD + 1
FIRST_DRUM = FIRST_CHORD + 24
VOCABULARY = FIRST_DRUM + len(DRUMS)
ALPHABET = (
    "hold", "rest", *(f"p{pitch}" for pitch in range(LOWEST, HIGHEST + 1)),
    "no chord", *ROOTS, *(f"{root}m" for root in ROOTS), *(f"drums {each}" for each in DRUMS),
)  # fmt: skip
KICKS, SNARES = (35, 36, 41, 43, 45), (37, 38, 39, 40, 47, 48, 50)  # toms stand with them
STRUCK = ((36,), (38,), (42,))  # how kick, snare, cymbal are written
DRUM_CHANNEL = 9
TICKS = 480  # a beat


@dataclass(frozen=True)
class PlayedNote:
    """Start and end in sixteenths, MIDI pitch, velocity 1..127, channel 0..15."""

    start: float
    end: float
    pitch: int
    velocity: int
    channel: int


def allowed_tokens(length: int) -> Tensor:
    """Which tokens may stand at each place: bool [length, VOCABULARY]."""
    place = torch.arange(length)[:, None] % BAR
    token = torch.arange(VOCABULARY)[None]
    chord = (place < 2) & (token >= NO_CHORD) & (token < FIRST_DRUM)
    melody = (place >= 2) & (place < 2 + STEPS) & (token < NO_CHORD)
    return chord | melody | ((place >= 2 + STEPS) & (token >= FIRST_DRUM))


# --- from MIDI -----------------------------------------------------------------------------------


def read_notes(path: Path) -> list[PlayedNote]:
    """The notes of a standard MIDI file of four beats a bar, by start.

    Raises:
        InputError: it cannot be read, is no MIDI file, or is in another metre.
    """
    import mido

    try:
        midi = mido.MidiFile(str(path), clip=True)
        ticks, tracks = midi.ticks_per_beat, midi.tracks
    except OSError as problem:
        reason = problem.strerror or "it is not a standard MIDI file"
        raise InputError(f"the MIDI file {path} cannot be read: {reason}") from None
    except Exception:  # mido raises whatever a malformed byte leads to
        raise InputError(f"{path} is not a MIDI file, or it is damaged") from None
    if ticks <= 0:
        raise InputError(f"{path} counts time in SMPTE frames; save it with ticks a beat")
    notes, now = [], 0
    down: dict[tuple[int, int], tuple[float, int]] = {}
    for message in mido.merge_tracks(tracks):
        now += message.time
        step = 4.0 * now / ticks
        if message.type == "time_signature" and message.numerator / message.denominator != 1.0:
            metre = f"{message.numerator}/{message.denominator}"
            raise InputError(f"{path} is in {metre}; bars are read in 4/4 only")
        if message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if key in down:
            start, velocity = down.pop(key)
            notes.append(PlayedNote(start, step, message.note, velocity, message.channel))
        if message.type == "note_on" and message.velocity > 0:
            down[key] = (step, message.velocity)
    return sorted(notes, key=lambda note: note.start)


def tokens_of(notes: list[PlayedNote]) -> Tensor:
    """Bars [N, BAR] from the first beat to the last sounding one; int64."""
    end = max((note.end for note in notes), default=0.0)
    count = int(-(-end // STEPS))
    pitched = [note for note in notes if note.channel != DRUM_CHANNEL]
    drums = [note for note in notes if note.channel == DRUM_CHANNEL]
    chords, melody, beat = _chords(pitched, count), _melody(pitched, count), _drums(drums, count)
    return torch.cat([chords, melody, beat], dim=1)


def _chords(notes: list[PlayedNote], bars: int) -> Tensor:
    """The triad that fits the sounding pitch classes of each half bar best [bars, 2]."""
    weight = torch.zeros(2 * bars, 12)
    for note in notes:
        first, last = int(note.start // 8), min(2 * bars - 1, int(note.end // 8))
        for half in range(first, last + 1):
            shared = min(note.end, 8 * half + 8) - max(note.start, 8 * half)
            weight[half, note.pitch % 12] += max(0.0, shared)
    triads = torch.stack([_triad(chord) for chord in range(24)])
    fit = weight @ triads.T - 0.5 * weight @ (1 - triads).T
    best = fit.max(1)
    chords = torch.where(best.values > 0, FIRST_CHORD + best.indices, NO_CHORD)
    return chords.view(bars, 2)


def _triad(chord: int) -> Tensor:
    root, third = chord % 12, 4 if chord < 12 else 3
    found = torch.zeros(12)
    found[[root, (root + third) % 12, (root + 7) % 12]] = 1.0
    return found


def _melody(notes: list[PlayedNote], bars: int) -> Tensor:
    """The leading voice [bars, STEPS]: the highest note that is struck at each step."""
    voice = _leading_voice(notes)
    struck: dict[int, PlayedNote] = {}
    for note in voice:
        step = round(note.start)
        if step not in struck or note.pitch > struck[step].pitch:
            struck[step] = note
    steps = torch.full((bars * STEPS,), HOLD)
    end: float | None = None  # of what sounds
    for step in range(len(steps)):
        if step in struck:
            pitch = struck[step].pitch
            pitch += 12 * max(0, -(-(LOWEST - pitch) // 12))
            pitch -= 12 * max(0, -(-(pitch - HIGHEST) // 12))
            steps[step] = FIRST_PITCH + pitch - LOWEST
            end = struck[step].end
        elif end is not None and step >= end - 0.5:
            steps[step], end = REST, None
    return steps.view(bars, STEPS)


def _leading_voice(notes: list[PlayedNote]) -> list[PlayedNote]:
    """The notes of the most melodic channel: one note at a time, and high; else all notes."""
    channels: dict[int, list[PlayedNote]] = {}
    for note in notes:
        channels.setdefault(note.channel, []).append(note)
    single = {}
    for channel, part in channels.items():
        overlaps = sum(after.start < before.end - 0.5 for before, after in pairwise(part))
        if len(part) >= 8 and overlaps <= 0.1 * len(part):
            single[channel] = sum(note.pitch for note in part) / len(part)
    if not single or max(single.values()) < LOWEST + 6:
        return notes
    return channels[max(single, key=lambda channel: single[channel])]


def _drums(notes: list[PlayedNote], bars: int) -> Tensor:
    """Which drums are struck at each step [bars, STEPS]."""
    struck = torch.zeros(bars * STEPS, dtype=torch.int64)
    for note in notes:
        step = round(note.start)
        if step < len(struck):
            bit = 1 if note.pitch in KICKS else 2 if note.pitch in SNARES else 4
            struck[step] |= bit
    return (FIRST_DRUM + struck).view(bars, STEPS)


def transposed(tokens: Tensor, semitones: int) -> Tensor:
    """Tokens of bars [...] in another key; melodies stay in range by octaves."""
    pitch = tokens - FIRST_PITCH + LOWEST + semitones
    pitch = torch.where(pitch > HIGHEST, pitch - 12, torch.where(pitch < LOWEST, pitch + 12, pitch))
    chord = tokens - FIRST_CHORD
    moved = FIRST_CHORD + 12 * (chord // 12) + (chord % 12 + semitones) % 12
    is_pitch = (tokens >= FIRST_PITCH) & (tokens < NO_CHORD)
    is_chord = (tokens >= FIRST_CHORD) & (tokens < FIRST_DRUM)
    tokens = torch.where(is_pitch, FIRST_PITCH + pitch - LOWEST, tokens)
    return torch.where(is_chord, moved, tokens)


def in_home_key(windows: Tensor) -> Tensor:
    """Windows [N, L] each transposed by -5..6 semitones so that most of it is in C major's scale.

    One key for all lets a small model spend its weights on melody and harmony; `transposed` gives
    the other keys back.
    """
    pitch = (windows - FIRST_PITCH + LOWEST) % 12
    struck = F.one_hot(pitch, 12) * ((windows >= FIRST_PITCH) & (windows < NO_CHORD))[..., None]
    triads = torch.stack([_triad(chord) for chord in range(24)])
    is_chord = (windows >= FIRST_CHORD) & (windows < FIRST_DRUM)
    chords = triads[(windows - FIRST_CHORD).clamp(0, 23)] * is_chord[..., None]
    weight = (struck + 2 * chords).sum(1)  # [N, 12]
    scale = torch.zeros(12)
    scale[[0, 2, 4, 5, 7, 9, 11]] = 1.0
    shifts = sorted(range(-5, 7), key=abs)
    fit = torch.stack([weight.roll(shift, 1) @ scale for shift in shifts])
    best = fit.argmax(0)  # of equals the nearest
    home = windows.clone()
    for index, shift in enumerate(shifts):
        rows = best == index
        home[rows] = transposed(windows[rows], shift)
    return home


@dataclass
class Corpus:
    """Windows of bars [N, bars x BAR] from so many files; `skipped` says why others are not."""

    windows: Tensor
    files: int
    skipped: list[str] = field(default_factory=list)


def read_corpus(folder: Path, bars: int) -> Corpus:
    """Every window of `bars` bars in which melody and chords are found, of all MIDI files there.

    Raises:
        InputError: the folder is not there, or has no MIDI file that can be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of MIDI files")
    windows, skipped, files = [], [], 0
    for path in sorted([*folder.rglob("*.mid"), *folder.rglob("*.midi")]):
        try:
            tokens = tokens_of(read_notes(path))
        except InputError as problem:
            skipped.append(str(problem))
            continue
        files += 1
        for first in range(len(tokens) - bars + 1):
            window = tokens[first : first + bars]
            struck = (window >= FIRST_PITCH) & (window < NO_CHORD)
            if struck.sum() >= 2 * bars and (window[:, :2] != NO_CHORD).all():
                windows.append(window.flatten())
    if not windows:
        first_reason = f" ({skipped[0]})" if skipped else ""
        raise InputError(
            f"{folder} has no MIDI file in 4/4 with {bars} bars of melody and chords{first_reason}"
        )
    return Corpus(torch.stack(windows), files, skipped)


# --- to notes ------------------------------------------------------------------------------------


def notes_of(tokens: Tensor) -> list[PlayedNote]:
    """The notes of bars [N, BAR], or of tokens [N x BAR], by start.

    Channel 0 melody, 1 chords with their root below, 9 drums. A token that may not stand at its
    place counts as nothing new there.
    """
    bars = tokens.reshape(-1, BAR).tolist()
    notes: list[PlayedNote] = []
    pitch, since = 0, 0.0
    for number, bar in enumerate(bars):
        for half in range(2):
            start = STEPS * number + 8.0 * half
            if FIRST_CHORD <= bar[half] < FIRST_DRUM:
                chord = voicing(bar[half] - FIRST_CHORD)
                notes += [PlayedNote(start, start + 8.0, each, 64, 1) for each in chord]
        for step, token in enumerate(bar[2 : 2 + STEPS]):
            now = float(STEPS * number + step)
            if token == REST or FIRST_PITCH <= token < NO_CHORD:
                if pitch:
                    notes.append(PlayedNote(since, now, pitch, 92, 0))
                pitch, since = (token - FIRST_PITCH + LOWEST if token != REST else 0), now
        for step, token in enumerate(bar[2 + STEPS :]):
            now = float(STEPS * number + step)
            for bit, pitches in enumerate(STRUCK):
                if token >= FIRST_DRUM and (token - FIRST_DRUM) >> bit & 1:
                    velocity = 70 if bit == 2 else 100
                    notes += [PlayedNote(now, now + 1, each, velocity, 9) for each in pitches]
    if pitch:
        notes.append(PlayedNote(since, STEPS * len(bars), pitch, 92, 0))
    return sorted(notes, key=lambda note: (note.start, note.channel, note.pitch))


def voicing(chord: int) -> tuple[int, ...]:
    """Root below, triad around E4: MIDI pitches of chord 0..23."""
    root = chord % 12
    third = 4 if chord < 12 else 3
    triad = [(root + interval) % 12 for interval in (0, third, 7)]
    return (36 + root, *sorted(55 + (pitch_class - 55) % 12 for pitch_class in triad))


def write_midi(notes: list[PlayedNote], path: Path, bpm: float) -> None:
    """A standard MIDI file of notes, written beside and renamed."""
    import mido

    from lmdm.weights import write_beside

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=round(60e6 / bpm)))
    track.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    for channel, program in ((0, 4), (1, 48)):
        track.append(mido.Message("program_change", channel=channel, program=program))
    events = [
        (round(at * TICKS / 4), kind, note)
        for note in notes
        for at, kind in ((note.start, 1), (note.end, 0))
    ]
    now = 0
    for tick, kind, note in sorted(events, key=lambda event: event[:2]):
        track.append(
            mido.Message(
                "note_on" if kind else "note_off",
                channel=note.channel,
                note=note.pitch,
                velocity=note.velocity if kind else 0,
                time=tick - now,
            )
        )
        now = tick
    midi = mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track])
    write_beside(path, lambda part: midi.save(str(part)))
