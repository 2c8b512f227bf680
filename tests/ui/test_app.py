"""The panel as the composition root runs it."""

from __future__ import annotations

import signal
import sys

import numpy as np
from PyQt6.QtWidgets import QApplication

from lmdm.live.messages import Message, Quit, Snapshot
from ui import app
from ui.main_window import MainWindow
from ui.screenshot import picture


def test_run_shows_listens_and_quits(qapp):
    sent: list[Message] = []
    looked, heard = [], []

    def look() -> Snapshot | None:
        looked.append(1)
        return Snapshot(status="playing", bpm=90.0) if len(looked) < 3 else None

    def listen() -> np.ndarray:
        heard.append(1)
        return np.zeros((512, 2), np.float32)

    hook = sys.excepthook
    handler = signal.getsignal(signal.SIGINT)
    assert app.run(sent.append, look, sound=listen, seconds=0.4) == 0
    assert signal.getsignal(signal.SIGINT) is handler
    assert sent == [Quit()]
    assert looked
    assert heard
    assert sys.excepthook is hook


def test_pictures_can_be_made_without_a_display(qapp, tmp_path):
    file = tmp_path / "panel.png"
    picture(file, 1280, 800, "playing")
    assert file.read_bytes().startswith(b"\x89PNG")
    left = [each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow)]
    assert not any(window.isVisible() for window in left)
