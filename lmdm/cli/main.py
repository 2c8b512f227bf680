"""`lmdm`: parses the command line, runs one command, and turns mistakes into one line.

Exit status: 0 done, 2 a mistake in what the user gave, 1 a failure, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from lmdm.errors import InputError

# command -> what it does; the module of the same name in this package declares and runs it
COMMANDS = {
    "live": "play: the instrument, with a window, in the terminal, or for a number of seconds",
    "render": "the same stream into a file, offline and exact",
    "doctor": "what this machine can do: devices, MIDI, model, speed, and a verdict",
    "bench": "figures beside their baselines",
    "theory": "diffusion theory: verified, measured, trained on small examples",
    "models": "list and describe models",
    "train": "from folders of music to a model: encode, codec, finetune, arc-forcing, evaluate",
    "image": "pictures: DecQ, representation autoencoders with detail queries",
    "video": "offline video tools: long videos, token budgets, world memory, planned edits",
    "safety": "forget an identity, find memorised prompts",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse on a mistake."""
        print(f"lmdm: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Imports no command's machinery."""
    parser = Parser(
        prog="lmdm",
        description="LMDM Live: a streaming latent-diffusion music instrument.",
        epilog="Each command has its own --help. Start with: lmdm live",
    )
    parser.add_argument("--version", action="version", version=f"lmdm {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        module = import_module(f"lmdm.cli.{name}")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    parser = build_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(options.run(options))
    except InputError as mistake:
        print(f"lmdm: {_one_line(mistake)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lmdm: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # our reader has gone, as in `lmdm ... | head`
        sys.stderr.close()
        return 1
    except (OSError, RuntimeError, MemoryError) as failure:
        print(f"lmdm: failed: {type(failure).__name__}: {_one_line(failure)}", file=sys.stderr)
        return 1


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lmdm-live")
    except PackageNotFoundError:
        return "from source"
