"""The `lmdm` program: the one place that knows every part. Commands import what they need."""

from lmdm.cli.main import main

__all__ = ["main"]
