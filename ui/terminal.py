"""The terminal view: one status line, and keys for the controls that matter most. Torch-free.

    space  mute            p  panic           q  quit
    + -    guidance        [ ]  prompt blend
    a w s e d f t g y h u j k   notes from C to C (each sounds for half a second)

On a terminal the line is refreshed in place and keys act at once; into a file or a pipe a line is
written every five seconds of playing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from lmdm.live.messages import (
    Message,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    SetBlend,
    SetGuidance,
    Snapshot,
)

NOTE_KEYS = "awsedftgyhujk"  # semitones from middle C
LOWEST_PITCH = 60
NOTE_SECONDS = 0.5
REFRESH_SECONDS = 0.1
LINE_SECONDS = 5.0
GUIDANCE_STEP, BLEND_STEP = 0.25, 0.05
METER_WIDTH = 10


class TerminalView:
    """Shows snapshots and turns keys into messages; a context manager that owns the terminal.

    Threads: one owner calls everything; `refresh` returns at once.
    """

    def __init__(
        self,
        controls: Callable[[Message], None],
        snapshots: Callable[[], Snapshot | None],
        *,
        output: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`output`: where the line goes; standard error if None."""
        self._send = controls
        self._look = snapshots
        self._output = output or sys.stderr
        self._clock = clock
        self._live = self._output.isatty()
        self._keys = _keys() if self._live else None
        self._shown_at = float("-inf")
        self._last_text = ""
        self._sounding: dict[int, float] = {}  # pitch -> when it ends

    def __enter__(self) -> TerminalView:
        if self._keys is not None:
            self._keys.open()
            keys = "space mute, p panic, q quit, +/- guidance, [ ] blend, a-k notes"
            self._output.write(f"keys: {keys}\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keys is not None:
            self._keys.close()
            self._output.write("\n")
        self._output.flush()

    def refresh(self) -> None:
        """Reads the keys pressed since the last call and shows the newest snapshot when due."""
        snapshot = self._look()
        if self._keys is not None and snapshot is not None:
            for key in self._keys.pressed():
                self.press(key, snapshot)
        now = self._clock()
        for pitch in [pitch for pitch, end in self._sounding.items() if end <= now]:
            del self._sounding[pitch]
            self._send(NoteOff(pitch))
        if snapshot is not None:
            self._show(snapshot, now)

    def press(self, key: str, snapshot: Snapshot) -> None:
        """Does what a key asks for, given what the musician sees."""
        key = key.lower()
        blend = snapshot.blend if snapshot.blend is not None else 0.0
        if key in NOTE_KEYS:
            pitch = LOWEST_PITCH + NOTE_KEYS.index(key)
            self._sounding[pitch] = self._clock() + NOTE_SECONDS
            self._send(NoteOn(pitch))
        elif key == " ":
            self._send(Mute(not snapshot.muted))
        elif key == "p":
            self._send(Panic())
        elif key in ("q", "\x03", "\x04"):
            self._send(Quit())
        elif key in ("+", "="):
            self._send(SetGuidance(min(20.0, snapshot.guidance + GUIDANCE_STEP)))
        elif key == "-":
            self._send(SetGuidance(max(0.0, snapshot.guidance - GUIDANCE_STEP)))
        elif key == "]":
            self._send(SetBlend(min(1.0, round(blend + BLEND_STEP, 4))))
        elif key == "[":
            self._send(SetBlend(max(0.0, round(blend - BLEND_STEP, 4))))

    def _show(self, snapshot: Snapshot, now: float) -> None:
        if snapshot.status == "failed" or (snapshot.status == "loading" and not self._live):
            return  # whoever owns the view ends with one line that says why
        changed = snapshot.text != self._last_text
        wait = REFRESH_SECONDS if self._live else LINE_SECONDS
        if now - self._shown_at < wait and not (changed and not self._live):
            return
        self._shown_at, self._last_text = now, snapshot.text
        line = status_line(snapshot)
        if self._live:
            width = _width(self._output)
            self._output.write(f"\r\x1b[2K{line[: width - 1]}")
        else:
            self._output.write(f"{line}\n")
        self._output.flush()


def status_line(snapshot: Snapshot) -> str:
    """One line that says what is going on.

    >>> status_line(Snapshot(progress=0.5, text="loading torch"))
    'loading 50%: loading torch'
    """
    if snapshot.status == "loading":
        return f"loading {snapshot.progress:.0%}: {snapshot.text}"
    if snapshot.status in ("failed", "stopped"):
        return f"{snapshot.status}: {snapshot.text}"
    seconds = snapshot.heard // 44100
    beat = int(snapshot.heard_beat)
    words = [
        f"{snapshot.status}{' (muted)' if snapshot.muted else ''}",
        f"{seconds // 60}:{seconds % 60:02d}",
        f"bar {beat // 4 + 1}.{beat % 4 + 1} at {snapshot.bpm:g} bpm",
        _meter(max(snapshot.level_db)),
        f"load {snapshot.real_time_factor:.0%}",
        f"ahead {snapshot.lead_ms:.0f} ms",
        f"underruns {snapshot.underruns}",
        f"guidance {snapshot.guidance:g}",
    ]
    if snapshot.blend is not None:
        words.append(f"blend {snapshot.blend:.2f}")
    if snapshot.held:
        words.append(f"notes {' '.join(map(str, snapshot.held))}")
    if snapshot.recording:
        words.append("recording")
    if snapshot.text not in ("", "playing"):
        words.append(snapshot.text)
    return " | ".join(words)


def _meter(level_db: float) -> str:
    filled = round(METER_WIDTH * min(1.0, max(0.0, (level_db + 60.0) / 60.0)))
    return "[" + "#" * filled + "." * (METER_WIDTH - filled) + "]"


def _width(output: TextIO) -> int:
    try:
        return os.get_terminal_size(output.fileno()).columns
    except (OSError, ValueError):
        return 80


class _PosixKeys:
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


class _WindowsKeys:
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


def _keys() -> _PosixKeys | _WindowsKeys | None:
    if not sys.stdin.isatty():
        return None
    return _WindowsKeys() if sys.platform == "win32" else _PosixKeys()
