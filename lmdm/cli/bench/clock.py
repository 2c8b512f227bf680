"""`lmdm bench clock`: how closely the generated beat follows a MIDI clock's ramp."""

from __future__ import annotations

import argparse
import json

from lmdm.cli import options as shared

PROMPT = "rock drums, electric bass"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--ramp", type=shared.number(1, 120), default=16.0, metavar="S", help="seconds (16)"
    )
    parser.add_argument(
        "--jitter", type=shared.number(0, 20), default=2.0, metavar="MS", help="of a tick (2)"
    )
    parser.add_argument(
        "--takes", type=shared.whole(1, 20), default=3, metavar="N", help="seeds to play (3)"
    )
    parser.add_argument(
        "--jack",
        action="store_true",
        help="in real time on JACK cables, one take; the jitter is the machine's own",
    )
    parser.add_argument("--prompt", default=PROMPT, metavar="TEXT", help=f"({PROMPT})")
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Plays, listens and prints."""
    import torch

    from lmdm.checkpoints import load
    from lmdm.cli.bench.clock_ramp import measure
    from lmdm.live.engine import torch_threads

    if options.jack:
        return _on_jack(options)
    torch.set_num_threads(torch_threads(options.threads))
    report = measure(
        load(options.model), options.ramp, options.jitter / 1000.0, options.takes, options.prompt
    )
    if options.json:
        print(json.dumps(report))
        return 0
    print(
        f"{'':<26} {'within 35 ms':>12} {'median':>8} {'p95':>8} {'clock, worst':>13} {'sent':>5}"
    )
    for row in report["rows"]:
        print(
            f"{row['name']:<26} {row['within']:>12.1%} {row['median_ms']:>5.1f} ms"
            f" {row['p95_ms']:>5.1f} ms {row['clock_worst_ms']:>10.1f} ms {row['corrections']:>5}"
        )
    return 0


def _on_jack(options: argparse.Namespace) -> int:
    from lmdm.cli.bench.clock_cable import measure
    from lmdm.cli.bench.timing import hardware
    from lmdm.live.engine import torch_threads

    report = measure(options.model, options.ramp, options.prompt, 0, options.threads)
    report["hardware"] = hardware("cpu", torch_threads(options.threads))
    if options.json:
        print(json.dumps(report))
        return 0
    print(f"{'':<26} {'within 35 ms':>12} {'median':>8} {'p95':>8} {'bias':>8} {'underruns':>10}")
    for row in report["rows"]:
        print(
            f"{row['name']:<26} {row['within']:>12.1%} {row['median_ms']:>5.1f} ms"
            f" {row['p95_ms']:>5.1f} ms {row['bias_ms']:>5.1f} ms {row['underruns']:>10}"
        )
    return 0
