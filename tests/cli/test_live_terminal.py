"""The terminal view as a musician has it: a real terminal, keys, and the program's own words."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


class Terminal:
    """`lmdm live --no-gui` on a pseudo-terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 300))
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder),
            "XDG_STATE_HOME": str(folder), "JACK_DEFAULT_SERVER": "none of ours",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lmdm", "live", "--no-gui", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment,
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(ours, False)
        self._file = ours
        self.shown = ""

    def press(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def see(self, words: str, seconds: float = 60.0) -> None:
        """Waits until the words are shown, from now on."""
        self.shown = ""
        end = time.monotonic() + seconds
        while words not in self.shown:
            assert time.monotonic() < end, f"{words!r} not in {self.shown[-2000:]!r}"
            try:
                self.shown += os.read(self._file, 65536).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # the program has ended
                break


def test_a_gig_by_keys_alone(tiny_model, tmp_path):
    terminal = Terminal(tmp_path, "--model", str(tiny_model), "--threads", "1")
    try:
        terminal.see("playing")
        terminal.press(":set_tempo 97\r")
        terminal.see("at 97 bpm")
        terminal.press(" ")
        terminal.see("(muted)")
        terminal.press(":warp 9\r")
        terminal.see("there is no control 'warp'")
        terminal.press("\x1b[B\x1b[B")
        terminal.see("> ")
        terminal.press("g")
        terminal.see("notes 6")
        terminal.press("?")
        terminal.see("learn a knob")
        terminal.press("q")
        terminal.see("played")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.process.kill()
    assert list(tmp_path.glob("**/take.wav"))  # there is no device: it went to a file
