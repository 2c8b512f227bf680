"""The arranger's pieces as standard MIDI files: the corpus of the bar generator (`lmdm theory`).

python -m training.recipes.starter.midi --out DIR --pieces N --seed S
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lmdm.theory.bars import DRUM_CHANNEL, PlayedNote, write_midi
from training.recipes.starter.score import Score
from training.recipes.starter.styles import STYLES, arranged


def notes_of(score: Score) -> list[PlayedNote]:
    """A score's notes, exactly on its grid; each pitched part has a channel, drums channel 10."""
    channels = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    notes, pitched = [], 0
    for part in score.parts:
        drums = part.instrument.is_drum
        channel = DRUM_CHANNEL if drums else channels[pitched % len(channels)]
        pitched += not drums
        for note in part.notes:
            end = 4 * (note.start + note.length)
            notes.append(PlayedNote(4 * note.start, end, note.pitch, note.velocity, channel))
    return notes


def write_corpus(out: Path, pieces: int, seed: int) -> int:
    """Writes the pieces in 4/4 that are not there yet; returns how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for index in tqdm(range(pieces), unit="piece"):
        generator = np.random.default_rng([seed, index])
        score = arranged(STYLES[int(generator.integers(len(STYLES)))], generator)
        if score.beats_per_bar != 4:
            continue
        path = out / f"arranged-{seed}-{index:05d}.mid"
        if not path.exists():
            write_midi(notes_of(score), path, score.bpm)
        written += 1
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="training.recipes.starter.midi", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.pieces < 1 or options.seed < 0:
        print("error: --pieces must be at least 1, and --seed at least 0", file=sys.stderr)
        return 2
    print(f"{write_corpus(options.out, options.pieces, options.seed)} pieces in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
