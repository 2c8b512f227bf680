"""Make the starter corpus.

python -m training.recipes.starter.corpus render --out DIR --pieces N --seed S
python -m training.recipes.starter.corpus scores --scores OPENSCORE --out DIR --pieces N
python -m training.recipes.starter.corpus recorded --out DIR
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from lmdm.errors import InputError
from training.recipes.starter.player import played
from training.recipes.starter.recorded import fetch_all
from training.recipes.starter.render import SOUNDFONT, Sampler, divided, mixed
from training.recipes.starter.score import Performance, Score, perform
from training.recipes.starter.scores import cut_of, piece_name, score_files
from training.recipes.starter.store import is_complete, write_piece
from training.recipes.starter.styles import STYLES, arranged

PLAYER_SHARE = 0.4
Result = TypeVar("Result")
DIVIDED_SHARE = 0.6  # of the pieces of several parts, which are written as input and rest too


@cache  # one a process: loading the soundfont costs seconds
def sampler(soundfont: Path = SOUNDFONT) -> Sampler:
    """The sampler of this process, made at first use."""
    return Sampler(soundfont)


def compose(index: int, seed: int) -> tuple[Score, np.random.Generator]:
    """Piece `index` of the corpus of `seed`, and the generator that goes on to perform it."""
    generator = np.random.default_rng([seed, index])
    if generator.random() < PLAYER_SHARE:
        return played(generator), generator
    return arranged(STYLES[int(generator.integers(len(STYLES)))], generator), generator


def play_and_write(
    folder: Path, score: Score, seed: int, generator: np.random.Generator, soundfont: Path
) -> Performance:
    """Play and write one piece, some of them divided."""
    performance = perform(score, generator)
    mix = mixed(performance, sampler(soundfont), generator)
    division = divided(mix, generator) if generator.random() < DIVIDED_SHARE else None
    write_piece(folder, mix.whole, score, performance, seed, soundfont.stem, division)
    return performance


def render_piece(folder: Path, index: int, seed: int, soundfont: Path = SOUNDFONT) -> float:
    """Compose, play and write one piece; returns its seconds."""
    score, generator = compose(index, seed)
    return play_and_write(folder, score, seed, generator, soundfont).seconds


def render_score(
    out: Path, files: list[Path], index: int, seed: int, soundfont: Path
) -> str | None:
    """Cut, play and write one score; returns why it was skipped, or None."""
    folder = out / piece_name(files[index])
    if is_complete(folder):
        return None
    try:
        score, generator = cut_of(files, index, seed)
    except InputError as error:
        return str(error)
    play_and_write(folder, score, seed, generator, soundfont)
    return None


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def in_parallel(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int
) -> list[Result]:
    """The function's results for each task, as they come, with a progress bar.

    Control-C lets the pieces in hand be finished, drops the others and exits with status 130.
    """
    results: list[Result] = []
    pool = ProcessPoolExecutor(workers, initializer=_ignore_interrupt)
    try:
        jobs = [pool.submit(function, *task) for task in tasks]
        progress = tqdm(as_completed(jobs), total=len(jobs), unit="piece", mininterval=5)
        results.extend(job.result() for job in progress)
    except KeyboardInterrupt:
        print("stopped; the pieces written so far are whole, run again to go on", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results


def render(out: Path, pieces: int, seed: int, workers: int, soundfont: Path) -> None:
    """Render the procedural pieces that are not there yet; safe to interrupt and to run again."""
    out.mkdir(parents=True, exist_ok=True)
    folders = [
        (out / f"starter-{seed}-{index:05d}", index, seed, soundfont) for index in range(pieces)
    ]
    wanting = [task for task in folders if not is_complete(task[0])]
    started = time.monotonic()
    seconds = sum(in_parallel(render_piece, wanting, workers))
    speed = seconds / max(1e-9, time.monotonic() - started)
    rendered = f"{len(wanting)} pieces rendered, {seconds / 3600:.2f} h"
    print(f"{rendered} at {speed:.0f} x real time; {pieces} in {out}")


def render_scores(
    out: Path, folder: Path, pieces: int, seed: int, workers: int, soundfont: Path
) -> None:
    """Render cuts of `pieces` scores; files that cannot be used are listed beside `out`."""
    files = score_files(folder)
    out.mkdir(parents=True, exist_ok=True)
    order = [int(index) for index in np.random.default_rng(seed).permutation(len(files))]
    skipped: list[str] = []
    done = 0
    while done < pieces and order:
        now, order = order[: pieces - done], order[pieces - done :]
        tasks = [(out, files, index, seed, soundfont) for index in now]
        reasons = in_parallel(render_score, tasks, workers)
        skipped += [reason for reason in reasons if reason is not None]
        done += reasons.count(None)
    listing = out.with_name(out.name + ".skipped-scores.txt")
    partial = listing.with_suffix(".part")
    partial.write_text("".join(f"{reason}\n" for reason in sorted(skipped)), encoding="utf-8")
    partial.replace(listing)
    print(f"{done} scores in {out}; {len(skipped)} skipped, listed in {listing}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="training.recipes.starter.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("render", "compose and render procedural pieces"),
        ("scores", "render cuts of OpenScore's scores"),
        ("recorded", "fetch freely licensed recordings from Debian"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--out", type=Path, required=True)
        if name == "scores":
            command.add_argument("--scores", type=Path, required=True, help="folder of .mxl files")
        if name != "recorded":
            command.add_argument("--pieces", type=int, default=700 if name == "render" else 100)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--workers", type=int, default=2)
            command.add_argument("--soundfont", type=Path, default=SOUNDFONT, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        if options.command == "recorded":
            fetch_all(options.out)
            return 0
        if options.pieces < 1 or options.workers < 1 or options.seed < 0:
            raise InputError("--pieces and --workers must be at least 1, and --seed at least 0")
        plan = (options.pieces, options.seed, options.workers, options.soundfont)
        if not options.soundfont.is_file():
            raise InputError(
                f"--soundfont {options.soundfont} is missing: install fluid-soundfont-gm or "
                "musescore-general-soundfont-lossless, or name another file"
            )
        if options.command == "scores":
            render_scores(options.out, options.scores, *plan)
        else:
            render(options.out, *plan)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
