"""Pictures of the panel over a pretended session, with or without a display.

python -m ui.screenshot out.png --size 1280x800 --show banner
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QWidget

    from ui.demo import Demo
    from ui.main_window import MainWindow

FRAME_SECONDS = 0.032
FRAMES = 700  # frames played before the picture is taken: the picture of the sound is full

# what the pretended engine reports in each picture, beside what it always does
REPORTS: dict[str, dict[str, Any]] = {
    "playing": {},
    "loading": {"status": "loading", "progress": 0.62, "text": "Loading the starter model"},
    "banner": {
        "status": "restarting",
        "text": "The engine stopped answering; a new one is being started and the last bars loop.",
        "restarts": 1,
        "underruns": 2,
    },
    "muted": {
        "muted": True,
        "recording": "takes/2026-11-24",
        "peak_db": (0.0, -0.1),
        "real_time_factor": 1.2,
        "governor": "steps 4 → 2 to keep in time",
        "chord": (0, 4, 7),
        "drums": False,
        "loudness_db": -12.0,
        "sustain": True,
    },
    "jam": {"jam_mode": "delay", "input_device": "Scarlett 2i2", "input_ms": 11.6,
            "input_level_db": (-21.0, -24.0), "feedback": 0.4, "dry": 0.5},
    "empty": {"prompts": (), "device": "", "midi": "", "held": (), "latency": {}, "scenes": ()},
    "learn": {"learning": "set_guidance", "last_controller": "cc:1:74 = 93"},
}  # fmt: skip
DIALOGS = ("set-up", "midi", "clock", "model", "mappings", "presets", "takes")
SHOWS = (*REPORTS, "two", "six", "levels", "learnt", "lock", "help", "tour", *DIALOGS)


def main(arguments: list[str] | None = None) -> int:
    """Makes one picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--scale", default="1", help="of everything, as on a dense screen")
    parser.add_argument("--text", type=float, default=1.0, help="of letters alone")
    parser.add_argument("--page", type=int, default=0, help="of a small window, from 0")
    parser.add_argument("--show", choices=SHOWS, default="playing")
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = options.scale
    wide, tall = (int(figure) for figure in options.size.split("x"))
    picture(options.file, wide, tall, options.show, options.text, options.page)
    return 0


def picture(file: Path, wide: int, tall: int, show: str, text: float = 1.0, page: int = 0) -> None:
    """Plays a pretended session for a while and saves the window, or the dialog asked for."""
    from PyQt6.QtWidgets import QApplication

    from ui import theme
    from ui.demo import Demo
    from ui.main_window import MainWindow
    from ui.preferences import Preferences
    from ui.stage import Stage

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    theme.apply(application, text)
    now = 0.0
    demo = Demo(clock=lambda: now)
    report(demo, show)
    look = demo.look if show != "loading" else lambda: demo.snapshot
    stage = Stage(demo.take_control, look, clock=lambda: now)
    window = MainWindow(
        stage,
        None if show == "levels" else demo.listen,
        clock=lambda: now,
        preferences=Preferences(text=text),
    )
    window.resize(wide, tall)
    window.show()

    def frames(count: int) -> None:
        nonlocal now
        for _ in range(count):
            now += FRAME_SECONDS
            stage.tick()

    frames(FRAMES - 60)
    if show == "playing":
        window.played.press("demo", 67)
        window.prompts.pads[0].weight.moved.emit(0.5)
        window.scenes.call("Rain")
    frames(60)
    if window.ground.pages is not None:
        window.ground.pages.turn(page)
    shown = arrange(window, demo, show, frames)
    application.processEvents()
    shown.grab().save(str(file))
    window.end()


def report(demo: Demo, show: str) -> None:
    """Lets the pretended engine report what the picture is about."""
    given = demo.snapshot
    if show == "two":
        demo.snapshot = replace(given, prompts=given.prompts[:2], pad=(0.3, 0.5))
    elif show == "six":
        more = (("warm sub bass", 0.3), ("tape hiss and birds in a garden at dawn", 0.2))
        demo.snapshot = replace(given, prompts=given.prompts + more)
    else:
        demo.snapshot = replace(given, **REPORTS.get(show, {}))


def arrange(window: MainWindow, demo: Demo, show: str, frames: Callable[[int], None]) -> QWidget:
    """Opens what the picture is about; returns what is to be saved."""
    if show == "lock":
        window.lock.set_locked(True)
    elif show == "help":
        window.help.open()
    elif show == "tour":
        window.tour.open()
        window.tour.go(1)
    elif show == "jam":
        window.macros.turn(1)
    elif show == "learnt":
        demo.snapshot = replace(demo.snapshot, learning="set_density")
        frames(2)
        demo.snapshot = replace(demo.snapshot, learning="", last_controller="cc:1:21 = 41")
    elif show in DIALOGS:
        pages = {"midi": 1, "clock": 2, "model": 3}
        dialog: Any = window.open_dialog("set-up" if show in pages else show)
        if show in pages:
            dialog.tabs.turn(pages[show])
        demo.snapshot = replace(demo.snapshot, scene="Home")  # something changes: all is shown
        frames(2)
        return dialog
    demo.snapshot = replace(demo.snapshot, last_controller="cc:1:21 = 42")
    frames(2)
    return window


if __name__ == "__main__":
    raise SystemExit(main())
