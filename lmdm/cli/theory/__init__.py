"""`lmdm theory`: diffusion theory, verified, measured and trained on small examples."""

from __future__ import annotations

import argparse

from lmdm.cli.theory import continuous, uniform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the two branches and their tools."""
    branches = parser.add_subparsers(dest="branch", metavar="BRANCH", required=True)
    for name, module, summary in (
        (
            "continuous",
            continuous,
            "schedules, predictions, solvers: verify, order, sample, convert",
        ),
        ("uniform", uniform, "uniform discrete diffusion: fit, run, evaluate, verify"),
    ):
        branch = branches.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        module.add_arguments(branch)


def run(options: argparse.Namespace) -> int:
    """Runs the chosen tool."""
    return int(options.tool_run(options))
