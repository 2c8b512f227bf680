"""`lmdm bench memory`: whether a theme returns with its section, and what memory costs."""

from __future__ import annotations

import argparse
import json
from statistics import mean
from typing import Any

from lmdm.cli import options as shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--seeds", type=shared.whole(1, 100), default=4, metavar="N")
    parser.add_argument(
        "--bars", type=shared.whole(4, 64), default=8, metavar="N", help="of a section (8)"
    )
    parser.add_argument("--recall", type=shared.number(0, 1), default=1.0, metavar="R")
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints a table, or one JSON object."""
    import torch
    from tqdm import tqdm

    from lmdm.checkpoints import load
    from lmdm.cli.bench.returning_theme import measured
    from lmdm.live.engine import torch_threads

    torch.set_num_threads(torch_threads(options.threads))
    model = load(options.model)
    rows: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    with tqdm(total=2 * options.seeds, desc="A B A", disable=options.json) as bar:
        for seed in range(options.seeds):  # the two take turns: what else runs hits both alike
            for name, amount in (("off", 0.0), ("on", options.recall)):
                rows[name].append(measured(model, seed, options.bars, amount))
                bar.update()
    report: dict[str, Any] = {"model": model.name, "recall": options.recall, "seeds": options.seeds}
    for name, each in rows.items():
        report[name] = {key: round(mean(row[key] for row in each), 4) for key in each[0]}
    gains = [on["theme"] - off["theme"] for on, off in zip(rows["on"], rows["off"], strict=True)]
    report["theme_gain"] = round(mean(gains), 4)
    report["theme_gains"] = [round(gain, 4) for gain in gains]
    report["cost_ratio"] = round(report["on"]["block_ms"] / report["off"]["block_ms"], 3)
    report["late_over_early"] = round(report["on"]["late_ms"] / report["on"]["early_ms"], 3)
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    print(
        f"model {report['model']}, {report['seeds']} pieces A B A; likeness is cosine of chroma\n"
    )
    print(
        f"{'recall':>7} {'to its theme':>13} {'by chance':>10} {'bar to next':>12} {'ms/block':>9}"
    )
    for name in ("off", "on"):
        row = report[name]
        print(
            f"{name:>7} {row['theme']:>13} {row['chance']:>10} {row['loops']:>12} "
            f"{row['block_ms']:>9.1f}"
        )
    print(
        f"\nthe theme's return gains {report['theme_gain']:+} ({report['theme_gains']}); "
        f"a block costs {report['cost_ratio']} times as much, "
        f"late in the piece {report['late_over_early']} times what early"
    )
