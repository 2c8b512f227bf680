"""Gives free memory back to the system.

A long performance allocates and frees large tensors between small ones that stay, so glibc's heap
grows by pages that hold nothing; `malloc_trim` returns them. Other C libraries do so by themselves.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Takes some milliseconds; does nothing where there is no glibc."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
