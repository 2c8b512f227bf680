"""Endless encoders: three ways of saying "one step to the left" in a 7-bit value.

| encoding        | also known as     | right       | left          |
|-----------------|-------------------|-------------|---------------|
| relative-two    | two's complement  | 1, 2, ...   | 127, 126, ... |
| relative-offset | binary offset     | 65, 66, ... | 63, 62, ...   |
| relative-signed | signed bit        | 1, 2, ...   | 65, 66, ...   |

    >>> steps(127, "relative-two"), steps(66, "relative-offset"), steps(65, "relative-signed")
    (-1, 2, -1)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

RELATIVE = ("relative-two", "relative-offset", "relative-signed")
_FASTEST = 7  # steps at once that still count as a sign of an encoder


def steps(value: int, encoding: str) -> int:
    """Signed steps of a 7-bit value, -64 to 63."""
    match encoding:
        case "relative-two":
            return value - 128 if value >= 64 else value
        case "relative-offset":
            return value - 64
        case "relative-signed":
            return 64 - value if value > 64 else value % 64
    raise ValueError(f"unknown encoding {encoding!r}")


def guess(values: Sequence[int]) -> tuple[str, bool]:
    """What kind of control sent these 7-bit values, and whether more of them could change that.

    Returns: "toggle" (a button: only 0 and 127), "absolute" or one of `RELATIVE`, and True once it
    is sure.
    An encoder repeats small steps, which a knob that stands still does not; turned one way only,
    it leaves open which encoding it has.
    """
    if set(values) <= {0, 127}:
        return ("toggle", 0 in values and 127 in values)
    fits = [each for each in RELATIVE if _fits(values, each)]
    changes = [b - a for a, b in itertools.pairwise(values)]
    if len(changes) < 2:
        return "absolute", not fits
    if not fits or min(changes) > 0 or max(changes) < 0:  # a turned knob neither rests nor returns
        return "absolute", True
    both = [each for each in fits if _both_ways(values, each)]
    return (both[0], True) if len(both) == 1 else (fits[0], False)


def _fits(values: Sequence[int], encoding: str) -> bool:
    return all(0 < abs(steps(value, encoding)) <= _FASTEST for value in values)


def _both_ways(values: Sequence[int], encoding: str) -> bool:
    return len({steps(value, encoding) > 0 for value in values}) == 2
