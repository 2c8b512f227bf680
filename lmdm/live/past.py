"""Everything that happened in a performance so far, packed: what a take's log begins with.

A log reaches back to the beginning of the session, also where the recording starts an hour later.
A controller's knobs give a dozen controls a second; kept as they are, they would cost 30 MB an
hour, packed they cost less than one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from lmdm.live.take import Applied, Held, line_of

PIECE_LINES = 512  # packed together


class Past:
    """Lines of a log, oldest first.

    Threads: none; the owner locks.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._newest: list[str] = []  # lines not yet packed

    def add(self, entry: Applied | Held) -> None:
        """One more that happened."""
        self._newest.append(line_of(entry))
        if len(self._newest) >= PIECE_LINES:
            self._pack()

    def _pack(self) -> None:
        if self._newest:
            self._pieces.append(zlib.compress("".join(self._newest).encode()))
            self._newest.clear()

    def texts(self) -> Iterator[str]:
        """All of it until now, some hundred lines at a time; any thread may unpack them."""
        self._pack()
        return (zlib.decompress(piece).decode() for piece in tuple(self._pieces))

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return sum(map(len, self._pieces)) + sum(map(len, self._newest))
