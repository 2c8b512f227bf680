"""Make the starter corpus.

    python -m training.recipes.starter.corpus render --out DIR --pieces N --seed S
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lmdm.errors import InputError
from training.recipes.starter.arranger import STYLES, arranged
from training.recipes.starter.player import played
from training.recipes.starter.render import Sampler, mixed
from training.recipes.starter.score import Score, perform
from training.recipes.starter.store import is_complete, write_piece

PLAYER_SHARE = 0.4
_sampler: Sampler | None = None  # one a process: loading the soundfont costs seconds


def sampler() -> Sampler:
    """This process's sampler, made at first use."""
    global _sampler
    if _sampler is None:
        _sampler = Sampler()
    return _sampler


def compose(index: int, seed: int) -> tuple[Score, np.random.Generator]:
    """Piece `index` of the corpus of `seed`, and the generator that goes on to perform it."""
    generator = np.random.default_rng([seed, index])
    if generator.random() < PLAYER_SHARE:
        return played(generator), generator
    return arranged(STYLES[int(generator.integers(len(STYLES)))], generator), generator


def render_piece(folder: Path, index: int, seed: int) -> float:
    """Compose, play and write one piece; returns its seconds."""
    score, generator = compose(index, seed)
    performance = perform(score, generator)
    audio = mixed(performance, sampler(), generator)
    write_piece(folder, audio, score, performance, seed)
    return performance.seconds


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def render(out: Path, pieces: int, seed: int, workers: int) -> None:
    """Render the pieces that are not there yet; safe to interrupt and to run again."""
    if pieces < 1 or workers < 1:
        raise InputError(f"--pieces ({pieces}) and --workers ({workers}) must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    folders = [(out / f"starter-{seed}-{index:05d}", index) for index in range(pieces)]
    wanting = [(folder, index) for folder, index in folders if not is_complete(folder)]
    pool = ProcessPoolExecutor(workers, initializer=_ignore_interrupt)
    seconds = 0.0
    try:
        jobs = [pool.submit(render_piece, folder, index, seed) for folder, index in wanting]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="piece", mininterval=10):
            seconds += job.result()
    except KeyboardInterrupt:
        print("stopped; the pieces written so far are whole, run again to go on", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    print(f"{len(wanting)} pieces rendered, {seconds / 3600:.2f} h; {pieces} in {out}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="training.recipes.starter.corpus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("render", help="compose and render procedural pieces")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--pieces", type=int, default=700)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        render(options.out, options.pieces, options.seed, options.workers)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
