"""How the panel's parts share the window, by how much text fits into it. Pure; no Qt.

Sizes are in lines of text, not pixels: a small window, large letters and a dense screen are one
question. A window with room shows everything at once; a small one shows one page at a time, with
transport, panic and status always in view.

    >>> arrangement(1280, 800, line=17)
    'whole'
    >>> arrangement(640, 400, line=17)
    'paged'
"""

from __future__ import annotations

from typing import Literal

Arrangement = Literal["whole", "paged"]

WHOLE_WIDTH = 74.0  # lines of text that the undivided panel needs
WHOLE_HEIGHT = 38.0


def arrangement(width: float, height: float, line: float) -> Arrangement:
    """The arrangement for a window of `width` by `height` pixels and `line` pixels a text line."""
    roomy = width >= WHOLE_WIDTH * line and height >= WHOLE_HEIGHT * line
    return "whole" if roomy else "paged"
