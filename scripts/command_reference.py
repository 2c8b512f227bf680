"""A hook of mkdocs: fills docs/commands.md with what every command says of itself.

The page is made from the parsers when the pages are built, so it cannot disagree with `--help`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PLACE = "<!-- every command -->"


def on_page_markdown(markdown: str, **_page: Any) -> str:
    """Called by mkdocs for each page's source text."""
    return markdown.replace(PLACE, reference()) if PLACE in markdown else markdown


def reference() -> str:
    """Markdown: a section a command, its summary, its usage and a table of its options."""
    from lmdm.cli.main import build_parser

    return "\n\n".join(_section(parser, level) for parser, level in _walk(build_parser(), 2))


def _walk(
    parser: argparse.ArgumentParser, level: int
) -> Iterator[tuple[argparse.ArgumentParser, int]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in dict.fromkeys(action.choices.values()):
                yield each, level
                yield from _walk(each, level + 1)


def _section(parser: argparse.ArgumentParser, level: int) -> str:
    lines = [f"{'#' * level} {parser.prog}", parser.description or "", "```"]
    lines += [" ".join(parser.format_usage().removeprefix("usage: ").split()), "```"]
    rows = [_row(action) for action in parser._actions if _shown(action)]
    if rows:
        lines += ["| option | |", "|---|---|", *rows]
    return "\n".join([lines[0], "", lines[1], "", *lines[2:5], "", *lines[5:]])


def _shown(action: argparse.Action) -> bool:
    hidden = (argparse._SubParsersAction, argparse._HelpAction)
    return action.help is not argparse.SUPPRESS and not isinstance(action, hidden)


def _row(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or action.dest
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        metavar = "/".join(str(choice) for choice in action.choices)
    taken = f" {metavar}" if metavar and action.option_strings else ""
    return f"| `{names}{taken}` | {_cell(action.help or '')} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("%%", "%").replace("|", "\\|").replace("<", "&lt;")
