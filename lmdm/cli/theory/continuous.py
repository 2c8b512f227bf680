"""x"""

from __future__ import annotations
import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None: ...
def tell_findings(f, j): ...
