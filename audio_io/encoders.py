"""Endless encoders: three ways of saying "one step to the left" in a 7-bit value.

| encoding        | right     | left        |
|-----------------|-----------|-------------|
| twos_complement | 1, 2, ... | 127, 126, ... |
| binary_offset   | 65, 66, ... | 63, 62, ... |
| sign_magnitude  | 1, 2, ... | 65, 66, ... |

    >>> steps(127, "twos_complement"), steps(66, "binary_offset"), steps(65, "sign_magnitude")
    (-1, 2, -1)
"""

from __future__ import annotations

from collections.abc import Sequence

ENCODINGS = ("twos_complement", "binary_offset", "sign_magnitude")
_FASTEST = 7  # steps at once that still count as a sign of an encoder


def steps(value: int, encoding: str) -> int:
    """Signed steps of a 7-bit value, -64 to 63."""
    match encoding:
        case "twos_complement":
            return value - 128 if value >= 64 else value
        case "binary_offset":
            return value - 64
        case "sign_magnitude":
            return 64 - value if value > 64 else value % 64
    raise ValueError(f"unknown encoding {encoding!r}")


def guess(values: Sequence[int]) -> tuple[str, bool]:
    """What kind of control sent these 7-bit values, and whether more of them could change that.

    Returns: "button" (only 0 and 127), "absolute" or one of `ENCODINGS`; and True once it is sure.
    An encoder repeats small steps, which a knob that stands still does not; turned one way only,
    it leaves open which encoding it has.
    """
    if set(values) <= {0, 127}:
        return ("button", 0 in values and 127 in values)
    fits = [each for each in ENCODINGS if _fits(values, each)]
    changes = [b - a for a, b in zip(values, values[1:], strict=False)]
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
