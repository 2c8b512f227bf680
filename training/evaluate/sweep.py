"""Guidance, steps and samplers compared on a few held-out pieces, to choose a model's defaults.

python -m training.evaluate.sweep MODEL --pieces DIR [--seconds 20] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from training.evaluate import notes
from training.evaluate.codec import codec_round_trip
from training.evaluate.distances import average_mel_distance
from training.evaluate.perform import Settings, perform
from training.evaluate.pieces import SAMPLE_RATE, Piece, read_piece, split_folders
from training.evaluate.stream import frechet_distance, high_share_db, level_db, seam_flux_ratio
from training.evaluate.transcribe import Judge, best_judge

Array = NDArray[np.float32]

HEADER = (
    "sampler      K  cfg | chroma  chance  pitch  onset | prec   rec   | latFD  latStd "
    "| LTAS dB  level dB  treble dB  seam | RTF"
)
VARIED = (  # a piece each of these kinds, where the folder has them
    "player", "guitar folk", "jazz trio", "four-on-the-floor", "chiptune", "solo piano",
)  # fmt: skip


class Real(NamedTuple):
    """A piece with the latents [C, T] of its real sound."""

    piece: Piece
    latents: Array


def default_grid() -> list[Settings]:
    """Guidance at four steps, then steps, for both plain samplers."""
    samplers = ("euler", "ping-pong")
    grid = [Settings(guidance, 4, s) for s in samplers for guidance in (1.0, 1.5, 2.5, 4.0)]
    return grid + [Settings(1.5, steps, s) for steps in (2, 8) for s in samplers]


def parse_settings(text: str) -> Settings:
    """A word like euler,4,1.5: four Euler steps at guidance 1.5."""
    sampler, steps, guidance = text.split(",")
    return Settings(float(guidance), int(steps), sampler)


def choose(folders: list[Path], count: int, seconds: float) -> list[Piece]:
    """At most `count` pieces that last long enough, of as many kinds as possible."""
    pieces = [read_piece(folder, seconds) for folder in folders]
    pieces = [piece for piece in pieces if piece.seconds >= seconds - 0.01 and len(piece.notes)]
    rank = {style: index for index, style in enumerate(VARIED)}
    seen: dict[str, int] = {}
    keyed = []
    for piece in pieces:
        turn = seen[piece.style] = seen.get(piece.style, -1) + 1
        keyed.append((turn, rank.get(piece.style, len(rank)), piece.name, piece))
    return [piece for *_, piece in sorted(keyed, key=lambda row: row[:3])][:count]


def row(label: str, sounds: list[tuple[Real, Array, Array]], judge: Judge, join: int) -> str:
    """One line of the table; sounds are (real piece, audio [S, 2], latents [C, T])."""
    total = chance = notes.NoteScores()
    spectrum, level, treble, seam = [], [], [], []
    for real, audio, _ in sounds:
        heard = judge.transcribe(audio, SAMPLE_RATE)
        seconds = len(audio) / SAMPLE_RATE
        total += notes.score(real.piece.notes, heard, seconds)
        chance += notes.chance(real.piece.notes, heard, seconds)
        spectrum.append(average_mel_distance(real.piece.audio, audio))
        level.append(level_db(audio) - level_db(real.piece.audio))
        treble.append(high_share_db(audio) - high_share_db(real.piece.audio))
        seam.append(seam_flux_ratio(audio, join))
    want = np.concatenate([real.latents for real, _, _ in sounds], axis=1)
    got = np.concatenate([latents for _, _, latents in sounds], axis=1)
    ratio = float(np.exp(np.mean(np.log(got.std(axis=1) / want.std(axis=1)))))
    return (
        f"{label} | {total.chroma.f1:.3f}   {chance.chroma.f1:.3f}  {total.pitch.f1:.3f}  "
        f"{total.onset.f1:.3f} | {total.chroma.precision:.3f} {total.chroma.recall:.3f} | "
        f"{frechet_distance(want, got):5.2f}  {ratio:.3f}  | {np.mean(spectrum):5.2f}   "
        f"{np.mean(level):+6.2f}    {np.mean(treble):+6.2f}     {np.mean(seam):.3f}"
    )


def sweep(model: Model, pieces: list[Piece], grid: list[Settings], seconds: float) -> Iterator[str]:
    """Lines of the table, each as soon as it is known."""
    judge = best_judge()
    join = model.stream_config.block_frames * model.codec.frame_samples
    reals, trips = [], []
    for piece in pieces:
        latents, audio = codec_round_trip(model.codec, piece.audio)
        reals.append(Real(piece, latents))
        trips.append((reals[-1], audio, latents))
    originals = [(real, real.piece.audio, real.latents) for real in reals]
    yield f"judge: {judge.name}; {len(pieces)} pieces x {seconds:.0f} s"
    yield HEADER
    yield row("real render       ", originals, judge, join)
    yield row("codec round trip  ", trips, judge, join)
    for settings in tqdm(grid, desc="settings", disable=not sys.stderr.isatty()):
        sounds, cost = [], []
        for real in reals:
            played = perform(model, real.piece, settings, seconds)
            sounds.append((real, played.audio, played.latents))
            cost.append(played.real_time_factor)
        label = f"{settings.sampler:10s} {settings.steps:3d}  {settings.guidance:.1f}"
        yield f"{row(label, sounds, judge, join)} | {np.mean(cost):.2f}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="compare guidance, steps and samplers")
    parser.add_argument("model", help="model name or folder")
    parser.add_argument("--pieces", type=Path, required=True, help="folder of rendered pieces")
    parser.add_argument("--count", type=int, default=6, help="pieces played")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each")
    parser.add_argument("--out", type=Path, help="text file for the table")
    parser.add_argument(
        "--settings",
        nargs="+",
        type=parse_settings,
        default=default_grid(),
        metavar="SAMPLER,STEPS,GUIDANCE",
        help="instead of the default grid",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pieces = choose(split_folders(arguments.pieces), arguments.count, arguments.seconds)
    model = load(arguments.model)
    lines = [f"model {model.name} {model.sha256[:12]}; {', '.join(map(described, pieces))}"]
    for line in sweep(model, pieces, arguments.settings, arguments.seconds):
        print(line, flush=True)
        lines.append(line)
        if arguments.out is not None:  # a table that grows can be read before it is whole
            arguments.out.write_text("\n".join(lines) + "\n")


def described(piece: Piece) -> str:
    """Name, style and instruments."""
    return f"{piece.name} ({piece.style}: {'+'.join(piece.families)})"


if __name__ == "__main__":
    main()
