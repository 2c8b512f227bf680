"""Keeps memory from costing time while music plays.

A long performance allocates and frees large tensors between small ones that stay, so glibc's heap
grows by pages that hold nothing; `malloc_trim` returns them. Other C libraries do so by themselves.
Python's collector of reference cycles looks through all that torch has loaded, for a tenth of a
second and with the interpreter lock held; what is loaded stays, so it need not be looked through.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from typing import Any


def settle() -> None:
    """All that is loaded stays: collects once more, and looks through none of it again.

    For the moment before music begins; takes about a tenth of a second.
    """
    gc.unfreeze()  # of a performance before this one, some may be gone
    gc.collect()
    gc.freeze()


def end() -> None:
    """The music is over: all may be looked through and freed again."""
    gc.unfreeze()


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
