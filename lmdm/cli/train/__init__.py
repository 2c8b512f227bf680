"""`lmdm train`: from folders of music to a model that plays. One module a subcommand."""

from __future__ import annotations

import argparse

from lmdm.cli.train import arc_forcing, codec, encode, evaluate, finetune

COMMANDS = {
    "encode": encode,
    "codec": codec,
    "finetune": finetune,
    "arc-forcing": arc_forcing,
    "evaluate": evaluate,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommands."""
    names = "|".join(COMMANDS)
    commands = parser.add_subparsers(dest="train_command", metavar=names, required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0].partition(": ")[2]
        command = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(command)
        command.set_defaults(train_run=module.run)


def run(options: argparse.Namespace) -> int:
    """Runs one subcommand."""
    return int(options.train_run(options))
