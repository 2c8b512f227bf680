"""`lmdm bench`: figures beside their baselines, one module a figure."""

from __future__ import annotations

import argparse

from lmdm.cli.bench import cache, clock, codec, engine, latency, memory
from lmdm.cli.bench.engine import measure

__all__ = ["add_arguments", "measure", "run"]

FIGURES = {
    "engine": (engine, "generation and decoding of a model, by strategy and steps"),
    "cache": (cache, "what caching the context saves, at the true size of Stable Audio Open Small"),
    "codec": (codec, "decoding of Stable Audio's Oobleck, in several ways"),
    "latency": (latency, "from a MIDI key to changed sound, through JACK"),
    "memory": (memory, "whether a theme returns with its section, and what that costs"),
    "clock": (clock, "the generated beat against a MIDI clock's ramp"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommands."""
    figures = parser.add_subparsers(dest="figure", metavar="|".join(FIGURES), required=True)
    for name, (module, summary) in FIGURES.items():
        module.add_arguments(figures.add_parser(name, help=summary))


def run(options: argparse.Namespace) -> int:
    """Measures and prints a table, or one JSON object."""
    return FIGURES[options.figure][0].run(options)
