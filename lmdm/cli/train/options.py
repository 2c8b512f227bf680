"""What the training commands share: run folders, configs, a limit of time."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lmdm.cli import options as shared
from lmdm.errors import InputError

NEEDED = ("accelerate", "webdataset", "scipy", "tensorboard")


def add_run(parser: argparse.ArgumentParser) -> None:
    """--run, --config, --set, --steps, --minutes, --json."""
    parser.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the run; if it is there, the run goes on from its last checkpoint",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings over the file's, such as engine.batch_size=8",
    )
    parser.add_argument("--steps", type=shared.whole(1, 10**9), metavar="N", help="engine.steps")
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), metavar="S", help="engine.seed")
    parser.add_argument(
        "--minutes",
        type=shared.number(0.0, 1e9),
        default=float("inf"),
        metavar="M",
        help="save and stop after so long; the same command goes on later",
    )
    shared.add_json(parser)


def settings_of(options: argparse.Namespace, *named: str) -> list[str]:
    """The settings of a command line; `named` options are keys of their own name."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    engine = [f"engine.{name}={given[name]}" for name in ("steps", "seed") if name in given]
    own = [f"{name}={json.dumps(str(given[name]))}" for name in named if name in given]
    return [*engine, *own, *options.set]


def need_training() -> None:
    """Raises InputError unless the extra `train` is installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {', '.join(missing)}, which is not installed: "
            'pip install "lmdm-live[train]"'
        )


def say(facts: dict[str, Any], as_json: bool) -> None:
    """Facts on stdout, as JSON or as lines."""
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:<14} {value}", file=sys.stdout)
