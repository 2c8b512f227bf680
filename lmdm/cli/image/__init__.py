"""`lmdm image`: offline picture tools. DecQ, one module of this package an action."""

from __future__ import annotations

import argparse
from importlib import import_module

from lmdm.outputs import check_folder

ACTIONS = {
    "fit": "train stage 1 (queries and decoder), stage 2 (joint diffusion), or both",
    "encode": "a folder of pictures into patch and detail tokens, in sharded safetensors",
    "reconstruct": "pictures through the tokens and back, with a grid to look at",
    "generate": "new pictures from noise",
    "evaluate": "figures of a model, beside those of a baseline",
    "study": "DecQ beside RAE at equal training: ablations, seeds, error bars, plots",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares decq and its actions."""
    tools = parser.add_subparsers(dest="tool", metavar="decq", required=True)
    summary = "detail-condensing queries for representation autoencoders (arXiv 2605.22777)"
    decq = tools.add_parser("decq", help=summary, description=f"DecQ: {summary}.")
    actions = decq.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    for name, does in ACTIONS.items():
        action = actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        module = import_module(f"lmdm.cli.image.{name}")
        module.add_arguments(action)
        action.set_defaults(run_action=module.run)


def run(options: argparse.Namespace) -> int:
    """Runs one action, once its results can be written."""
    check_folder(options.out)
    status: int = options.run_action(options)
    return status
