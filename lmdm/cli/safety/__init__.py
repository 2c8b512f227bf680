"""`lmdm safety`: forgetting an identity, finding memorised prompts."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lmdm.cli.safety import memorization, piu
from lmdm.outputs import check_file, check_folder

TOOLS = {
    "piu": (piu, "forget an identity of an identity-conditioned model, and prove it"),
    "memorization": (memorization, "find prompts that a model replays from its training set"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the tools."""
    tools = parser.add_subparsers(dest="tool", metavar="|".join(TOOLS), required=True)
    for name, (module, summary) in TOOLS.items():
        tool = tools.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        module.add_arguments(tool)
        tool.set_defaults(run_tool=module.run)


def run(options: argparse.Namespace) -> int:
    """Runs one action of one tool, once its results can be written, and prints what came of it.

    `--out` is a folder, unless the action sets `out_suffixes`, those of the file that it writes.
    """
    if "out_suffixes" in options:
        check_file(options.out, options.out_suffixes)
    elif "out" in options:
        check_folder(options.out)
    report: dict[str, Any] = options.run_tool(options)
    if getattr(options, "json", False):
        print(json.dumps(report))
    else:
        for key, value in report.items():
            print(f"{key:<24} {_in_words(value)}")
    return 0


def _in_words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(each)}" for key, each in value.items())
    return str(value)
