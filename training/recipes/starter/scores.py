"""Pieces cut from OpenScore's CC0 scores, played by other instruments than was written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lmdm.errors import InputError
from training.recipes.starter.captions import describe
from training.recipes.starter.harmony import MODES, Key
from training.recipes.starter.musicxml import WrittenPart, WrittenScore, read_mxl
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.score import Part, Score, heard_chords

CUT_SECONDS = 60.0
LEAST_NOTES = 40
SOURCE = "OpenScore (CC0)"
SOLO = (
    "flute",
    "violin",
    "tenor saxophone",
    "trumpet",
    "cello",
    "choir",
    "square lead",
    "saw lead",
    "string section",
    "vibraphone",
    "clean electric guitar",
)
ACCOMPANIMENT = (
    "grand piano",
    "grand piano",
    "grand piano",
    "electric piano",
    "harp",
    "drawbar organ",
    "church organ",
    "string section",
    "marimba",
    "warm pad",
    "nylon guitar",
)
# Top voice to bass.
QUARTETS = (
    ("violin", "violin", "string section", "cello"),
    ("string section", "string section", "string section", "string section"),
    ("flute", "violin", "tenor saxophone", "cello"),
    ("square lead", "square lead", "saw lead", "synth bass"),
    ("pizzicato strings", "pizzicato strings", "pizzicato strings", "acoustic bass"),
    ("vibraphone", "vibraphone", "marimba", "marimba"),
    ("trumpet", "trumpet", "tenor saxophone", "cello"),
    ("choir", "choir", "choir", "choir"),
    ("church organ", "church organ", "church organ", "church organ"),
    ("grand piano", "grand piano", "grand piano", "grand piano"),
)
# Krumhansl & Kessler 1982, probe-tone ratings.
PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


def score_files(folder: Path) -> list[Path]:
    """Every .mxl below the folder, in an order that does not depend on the file system."""
    if not folder.is_dir():
        raise InputError(
            f"score folder {folder} does not exist: give the one with OpenScore's .mxl files"
        )
    files = sorted(folder.rglob("*.mxl"))
    if not files:
        raise InputError(f"score folder {folder} holds no .mxl file")
    return files


def piece_name(path: Path) -> str:
    """The piece's name: "openscore-" and the score's number at the end of its file name."""
    number = re.search(r"(lc|sq)\d+$", path.stem)
    name = number.group(0) if number else re.sub(r"[^A-Za-z0-9]+", "-", path.stem)[:48]
    return f"openscore-{name}"


def estimated_key(parts: list[Part]) -> Key:
    """The key whose probe-tone profile agrees best with the time each pitch class sounds."""
    heard = np.zeros(12)
    for part in parts:
        for note in part.notes:
            heard[note.pitch % 12] += note.length
    keys = [Key(tonic, mode) for mode in PROFILES for tonic in range(12) if mode in MODES]
    fits = [float(np.corrcoef(heard, np.roll(PROFILES[key.mode], key.tonic))[0, 1]) for key in keys]
    return keys[int(np.argmax(fits))]


def octave_shift(part: WrittenPart, low: int, high: int) -> int:
    """The octaves, in semitones, that bring most of the part's notes into the range."""
    pitches = np.asarray([note.pitch for note in part.notes])
    shifts = sorted((12 * octave for octave in range(-3, 4)), key=abs)
    outside = [int(((pitches + s < low) | (pitches + s > high)).sum()) for s in shifts]
    return shifts[int(np.argmin(outside))]


def tempo_at(written: WrittenScore, quarter: float, generator: np.random.Generator) -> float:
    """Quarters a minute at a place of the score, ±8 %, from 44 to 180; drawn where none is."""
    before = [tempo for start, tempo in written.tempi if start <= quarter + 1e-6]
    tempo = before[-1] if before else float(generator.uniform(66, 116))
    return round(float(np.clip(tempo * generator.uniform(0.92, 1.08), 44, 180)), 1)


def cast(parts: list[WrittenPart], generator: np.random.Generator) -> list[str]:
    """An instrument for each part."""
    if len(parts) == 4 and not any(part.polyphonic for part in parts):
        return list(QUARTETS[int(generator.integers(len(QUARTETS)))])
    return [str(generator.choice(ACCOMPANIMENT if part.polyphonic else SOLO)) for part in parts]


def arranged_cut(written: WrittenScore, generator: np.random.Generator) -> Score:
    """About 60 s of the score from a random bar, transposed by up to ±4 semitones.

    InputError where the score has no such stretch with enough notes.
    """
    transposition = int(generator.integers(-4, 5))
    for _ in range(4):
        bar = int(generator.integers(max(1, int(len(written.bars) * 0.7))))
        start = written.bars[bar][0]
        tempo = tempo_at(written, start, generator)
        end = min(written.quarters, start + CUT_SECONDS * tempo / 60)
        inside = [
            WrittenPart(p.name, [n for n in p.notes if start <= n.start < end - 0.2], p.polyphonic)
            for p in written.parts
        ]
        inside = [part for part in inside if part.notes]
        if (end - start) * 60 / tempo > 20 and sum(len(p.notes) for p in inside) >= LEAST_NOTES:
            break
    else:
        raise InputError(f"{written.title} has no 20 s with {LEAST_NOTES} notes")
    parts = []
    for source, name in zip(inside, cast(inside, generator), strict=True):
        part = Part(INSTRUMENTS[name], -3.0 if source.polyphonic and len(inside) > 1 else 0.0)
        shift = octave_shift(source, part.instrument.low, part.instrument.high) + transposition
        for note in source.notes:
            length = min(note.length, end - note.start)
            part.add(note.start - start, length, note.pitch + shift, note.velocity)
        parts.append(part)
    line_ends = [bar_start for bar_start, _, _ in written.bars[1:]] + [written.quarters]
    grid = [
        (bar_start + beat * unit - start, beat)
        for (bar_start, beats, unit), line_end in zip(written.bars, line_ends, strict=True)
        for beat in range(beats)
        # Upbeats and split bars end before all their beats have come.
        if start - 1e-6 <= bar_start + beat * unit < min(end, line_end - 1e-3)
    ]
    key = estimated_key(parts)
    instruments = [part.instrument for part in parts]
    bowed = all(instrument.family == "strings" for instrument in instruments)
    style = "art song" if any(part.polyphonic for part in inside) else "classical arrangement"
    style = "string quartet" if bowed and len(parts) == 4 else style
    return Score(
        style=style,
        bpm=tempo,
        key=key.name,
        beats_per_bar=written.bars[bar][1],
        parts=parts,
        chords=heard_chords(parts, end - start),
        captions=describe(style, instruments, tempo, key.name, generator),
        source=f"{SOURCE}: {written.title}",
        licence="CC0-1.0 (score)",
        beat_grid=grid,
    )


def cut_of(files: list[Path], index: int, seed: int) -> tuple[Score, np.random.Generator]:
    """One file's cut, and the generator that goes on to perform it. InputError for bad files."""
    generator = np.random.default_rng([seed, index])
    return arranged_cut(read_mxl(files[index]), generator), generator
