"""Single keys from a terminal, without waiting for the return key; arrows by their names."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}  # ANSI; also after O on some terminals
_WINDOWS_ARROWS = {"H": "up", "P": "down", "M": "right", "K": "left"}
_KEY = re.compile(r"\x1b[\[O]([A-D])|\x1b[\[O][0-9;]*[~A-Za-z]|[\x00\xe0]([HPMK])|(.)", re.DOTALL)


def keys_of(typed: str) -> list[str]:
    r"""The keys in what a terminal sent; arrows as `up`, `down`, `right`, `left`.

    >>> keys_of("a\x1b[A\x1bOD q")
    ['a', 'up', 'left', ' ', 'q']
    """
    found: list[str] = []
    for arrow, windows, plain in _KEY.findall(typed):
        key = ARROWS.get(arrow) or _WINDOWS_ARROWS.get(windows) or plain
        found += [key] if key else []  # function keys and the like mean nothing
    return found


class PosixKeys:
    """Single keys from a POSIX terminal, without waiting for the return key."""

    def open(self) -> None:
        """Takes the terminal over."""
        import termios
        import tty

        self._input = sys.stdin.fileno()
        self._former = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)

    def pressed(self) -> str:
        """The keys pressed since the last call."""
        import select

        keys = ""
        while select.select([self._input], [], [], 0)[0]:
            read = os.read(self._input, 64)
            if not read:
                break
            keys += read.decode(errors="ignore")
        return keys

    def close(self) -> None:
        """Gives the terminal back as it was."""
        import termios

        termios.tcsetattr(self._input, termios.TCSADRAIN, self._former)


class WindowsKeys:
    """Single keys from a Windows console."""

    def open(self) -> None:
        """Nothing to take over."""

    def pressed(self) -> str:
        """The keys pressed since the last call."""
        import msvcrt

        console: Any = msvcrt
        keys = ""
        while console.kbhit():
            keys += console.getwch()
        return keys

    def close(self) -> None:
        """Nothing to give back."""


def keys_of_terminal() -> PosixKeys | WindowsKeys | None:
    """The keys of this terminal; None where standard input is none."""
    if not sys.stdin.isatty():
        return None
    return WindowsKeys() if sys.platform == "win32" else PosixKeys()
