"""`lmdm video`: offline video tools, one module of this package each."""

from __future__ import annotations

import argparse
from importlib import import_module

from lmdm.outputs import check_file

TOOLS = {
    "base": "the small text-to-video model that flowlong and dvg can drive",
    "flowlong": "long videos from overlapping windows that agree on the clean one",
    "dvg": "a token budget spent over space and time as the video asks for it",
    "worldkv": "world models that remember places: retrieved and compressed keys and values",
    "bernini": "a planner of what is to be seen, and a renderer that follows it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the tools."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    for name, summary in TOOLS.items():
        tool = tools.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        import_module(f"lmdm.cli.video.{name}").add_arguments(tool)


def run(options: argparse.Namespace) -> int:
    """Runs one action of one tool, once its reports and pictures can be written."""
    for name in ("report", "plot", "cases"):
        path = getattr(options, name, None)
        if path is not None:
            check_file(path)
    status: int = options.run_action(options)
    return status
