"""Runs the panel. The composition root gives it what it may call, and nothing else."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from ui import theme
from ui.main_window import MainWindow
from ui.stage import Controls, Snapshots, Stage


def run(
    controls: Controls,
    snapshots: Snapshots,
    *,
    sound: Callable[[], np.ndarray] | None = None,
    seconds: float | None = None,
    preferences: Path | None = None,
    begin: Callable[[MainWindow], None] | None = None,
) -> int:
    """Shows the panel until its window is closed, and returns the exit status.

    Threads: call it from the main thread. `controls`, `snapshots` and `sound` are called from that
    thread only, at most 60 times a second each save for single controls, and must return at once.

    Args:
        controls: takes one control message. What it raises is shown in the banner. The last message
            is `Quit`, when the window closes.
        snapshots: the newest snapshot, or None when there is none since the last call.
        sound: PCM heard since the last call, float32 [samples, 2] at 44.1 kHz (`ui.hearing` gives
            it from an output thread). Without it only levels are drawn.
        seconds: close by itself after this long; None stays open.
        preferences: the file they are kept in; None keeps them for this session.
        begin: called with the window once it is shown, to drive it.
    """
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("LMDM Live")
    theme.apply(application)
    stage = Stage(controls, snapshots)
    window = MainWindow(stage, sound, preferences)
    former_hook = sys.excepthook

    def report(
        kind: type[BaseException], fault: BaseException, trace: TracebackType | None
    ) -> None:
        """An error in a view is told once in the banner; the music goes on."""
        traceback.print_exception(kind, fault, trace)
        stage.problem.emit(f"The panel met an error and goes on: {fault or kind.__name__}")

    sys.excepthook = report
    former_handler = signal.signal(signal.SIGINT, lambda *_: window.end())
    if seconds is not None:
        QTimer.singleShot(round(seconds * 1000), window.end)
    stage.tick()  # what the engine says by now is what is seen first
    window.show()
    stage.start()
    if begin is not None:
        begin(window)
    if preferences is not None:
        QTimer.singleShot(600, window.begin_tour)
    try:
        return application.exec()
    finally:
        sys.excepthook = former_hook
        signal.signal(signal.SIGINT, former_handler)
        stage.stop()
