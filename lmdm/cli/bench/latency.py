"""`lmdm bench latency`: from a MIDI key, or a fader, to the sound it changes (see `cable`)."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from lmdm.cli import options as shared

RATE, PERIOD = 48000, 256
TARGET_MS = 350.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--keys", type=shared.whole(4, 1000), default=30, metavar="N", help="keys a row (30)"
    )
    parser.add_argument(
        "--lead",
        type=shared.number(0.05, 10),
        nargs="+",
        default=[0.5, 1.5, 4.0],
        metavar="S",
        help="leads to measure, in seconds (0.5 1.5 4)",
    )
    parser.add_argument(
        "--buffer", type=shared.number(5, 500), default=None, metavar="MS", help="of the output"
    )
    parser.add_argument("--period", type=shared.whole(16, 4096), default=PERIOD, metavar="N")
    parser.add_argument(
        "--no-baseline", action="store_true", help="leave out the row without a commit horizon"
    )
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=1, metavar="S")
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints a table, or one JSON object."""
    from lmdm.checkpoints import load
    from lmdm.cli.bench.cable import measured
    from lmdm.cli.jack_server import JackServer

    model = load(options.model)
    rows = []
    plans = [(lead, True) for lead in options.lead]
    if not options.no_baseline:
        plans.append((max(options.lead), False))
    with JackServer(RATE, options.period) as jack, tempfile.TemporaryDirectory() as folder:
        for number, (lead, rewinds) in enumerate(plans):
            take = Path(folder) / str(number)
            rows.append(measured(options, jack, model, lead, rewinds, take))
    report = {
        "model": model.name,
        "rate": RATE,
        "period": options.period,
        "period_ms": round(1000.0 * options.period / RATE, 2),
        "keys": options.keys,
        "target_ms": TARGET_MS,
        "rows": rows,
    }
    if any(row["note_ms"]["count"] < options.keys // 2 for row in rows):
        raise RuntimeError(
            "most keys could not be dated, since the sound had gaps: this machine is too busy now"
        )
    with_horizon = [row for row in rows if row["commit_horizon"]]
    p95 = [row["note_ms"]["p95"] for row in with_horizon]
    report["p95_deepest_over_shallowest"] = round(p95[-1] / p95[0], 2)
    if not options.no_baseline:
        report["p95_without_over_with"] = round(rows[-1]["note_ms"]["p95"] / p95[-1], 2)
    report["holds"] = max(p95) <= TARGET_MS
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    print(
        f"model {report['model']}; JACK at {report['rate']} Hz, {report['period']} samples "
        f"({report['period_ms']} ms); milliseconds from MIDI key and from fader to changed sound\n"
    )
    print(
        f"{'lead':>5} {'horizon':>8} {'note p50':>9} {'p95':>7} {'worst':>7} {'fader p50':>10} "
        f"{'p95':>6} {'block ms':>9} {'real time':>10} {'buffer':>7} {'underruns':>10}"
    )
    for row in report["rows"]:
        note, fader = row["note_ms"], row["instant_ms"]
        print(
            f"{row['lead']:>5g} {'yes' if row['commit_horizon'] else 'no':>8} {note['p50']:>9} "
            f"{note['p95']:>7} {note['worst']:>7} {fader['p50']:>10} {fader['p95']:>6} "
            f"{row['generation_ms']:>9} {row['real_time_factor']:>10} {row['buffer_ms']:>7} "
            f"{row['underruns']:>10}"
        )
    print(
        f"\np95 at the deepest lead over that at the shallowest: "
        f"{report['p95_deepest_over_shallowest']}"
    )
    if "p95_without_over_with" in report:
        print(f"p95 without a commit horizon over that with: {report['p95_without_over_with']}")
    print(
        f"note-on within {report['target_ms']:.0f} ms at p95: {'yes' if report['holds'] else 'no'}"
    )
