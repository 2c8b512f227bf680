"""`lmdm train codec`: to come."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing yet."""


def run(options: argparse.Namespace) -> int:
    """Nothing yet."""
    raise NotImplementedError
