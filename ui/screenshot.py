"""Pictures of the panel over a pretended session, with or without a display.

python -m ui.screenshot out.png --size 1280x800 --show banner
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

SHOWS = ("playing", "loading", "banner", "muted", "two", "six", "levels", "empty")
FRAME_SECONDS = 0.032
FRAMES = 700  # frames played before the picture is taken: the picture of the sound is full


def main(arguments: list[str] | None = None) -> int:
    """Makes one picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--scale", default="1", help="of everything, as on a dense screen")
    parser.add_argument("--show", choices=SHOWS, default="playing")
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_SCALE_FACTOR"] = options.scale
    wide, tall = (int(figure) for figure in options.size.split("x"))
    picture(options.file, wide, tall, options.show)
    return 0


def picture(file: Path, wide: int, tall: int, show: str) -> None:
    """Plays a pretended session for a while and saves the window."""
    from PyQt6.QtWidgets import QApplication

    from lmdm.live.messages import Snapshot
    from ui import theme
    from ui.demo import Demo
    from ui.main_window import MainWindow
    from ui.stage import Stage

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    theme.apply(application)
    now = 0.0
    demo = Demo(clock=lambda: now)
    given = demo.snapshot
    sound = demo.listen
    if show == "loading":
        demo.snapshot = Snapshot(progress=0.62, text="Loading the starter model", model="starter")
    elif show == "banner":
        text = "The engine stopped answering; a new one is being started and the last bars loop."
        demo.snapshot = replace(given, status="restarting", text=text, restarts=1, underruns=2)
    elif show == "muted":
        demo.snapshot = replace(
            given,
            muted=True,
            recording="takes/2026-11-24",
            peak_db=(0.0, -0.1),
            real_time_factor=1.2,
            governor="steps 4 → 2 to keep in time",
            chord=(0, 4, 7),
            drums=False,
            loudness_db=-12.0,
            sustain=True,
        )
    elif show == "two":
        demo.snapshot = replace(given, prompts=given.prompts[:2], blend=0.3)
    elif show == "six":
        more = (("warm sub bass", 0.3), ("tape hiss and birds in a garden at dawn", 0.2))
        demo.snapshot = replace(given, prompts=given.prompts + more)
    elif show == "empty":
        demo.snapshot = replace(given, prompts=(), device="", midi="", held=(), latency={})
    look = demo.look if show != "loading" else lambda: demo.snapshot
    stage = Stage(demo.take_control, look, clock=lambda: now)
    window = MainWindow(stage, None if show == "levels" else sound)
    window.resize(wide, tall)
    window.show()
    for frame in range(FRAMES):
        now += FRAME_SECONDS
        if show == "playing" and frame == FRAMES - 60:
            window.played.press("demo", 67)
            window.prompts.pads[0].weight.moved.emit(0.5)
        stage.tick()
    application.processEvents()
    window.grab().save(str(file))
    window.close()


if __name__ == "__main__":
    raise SystemExit(main())
