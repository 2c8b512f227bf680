"""Drives the real instrument under Xvfb and a dummy JACK server, and saves what is on the screen.

    python scripts/screens.py pictures/ [--sizes 1280x800 1920x1080] [--scales 1 2]

Each size and scale is a process of its own: the true `lmdm live` with its engine, its devices and
its window, driven through a short performance: prompts, notes, dials, scenes, learning, set-up, a
take, an engine that dies, the locked stage. Needs Xvfb and jackd.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROMPTS = ("funky breakbeat", "jazz trio", "cinematic strings", "mallet ensemble")
PATIENCE = 90.0  # seconds until a step gives up waiting


def main() -> int:
    """Makes the pictures of every size and scale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["1280x800", "1920x1080"])
    parser.add_argument("--scales", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--drive", metavar="NAME", help=argparse.SUPPRESS)  # within the display
    options = parser.parse_args()
    if options.drive:
        return drive(options.folder, options.drive, options.sizes[0])
    missing = [tool for tool in ("Xvfb", "jackd") if shutil.which(tool) is None]
    if missing:
        print(f"screens: {' and '.join(missing)} must be installed", file=sys.stderr)
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    with sound_server() as jack:
        for size in options.sizes:
            for scale in options.scales:
                wide, tall = (int(figure) * scale for figure in size.split("x"))
                with display(wide, tall) as shown, tempfile.TemporaryDirectory() as home:
                    environment = {
                        **os.environ, **shown, **jack, "QT_SCALE_FACTOR": str(scale),
                        "QT_QPA_PLATFORM": "xcb", "LMDM_CONFIG": home, "XDG_DATA_HOME": home,
                        "XDG_CONFIG_HOME": home, "PYTHONPATH": os.getcwd(),
                    }  # fmt: skip
                    name = f"{size}@{scale}"
                    print(f"screens: {name}", flush=True)
                    subprocess.run(
                        [sys.executable, str(Path(__file__).resolve()),
                         str(options.folder.resolve()), "--drive", name, "--sizes", size],
                        env=environment, cwd=home, check=True,
                    )  # fmt: skip
    return 0


@contextmanager
def display(wide: int, tall: int) -> Iterator[dict[str, str]]:
    """An X server of that many pixels; gives the environment that leads to it."""
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", f"{wide}x{tall}x24", "-nolisten", "tcp"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: Path(f"/tmp/.X11-unix/X{number}").exists())
        yield {"DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


@contextmanager
def sound_server() -> Iterator[dict[str, str]]:
    """A JACK server without hardware; gives the environment that leads to it."""
    name = f"lmdmscreens{os.getpid()}"
    server = subprocess.Popen(
        ["jackd", "-n", name, "-d", "dummy", "-r", "48000", "-p", "256", "-C", "2", "-P", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(1.0)
    try:
        yield {"JACK_DEFAULT_SERVER": name}
    finally:
        server.terminate()
        server.wait()


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Waits until something is so. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to be")
        time.sleep(0.02)


# --- within the display ---------------------------------------------------------------------------


def drive(folder: Path, name: str, size: str) -> int:
    """Runs `lmdm live` and plays on its window."""
    from lmdm.cli.main import main as lmdm
    from ui import app
    from ui.preferences import Preferences, save, usual_file

    save(Preferences(tour_seen=True), usual_file())
    run = app.run

    def run_driven(*arguments: Any, **keywords: Any) -> int:
        performer = Performer(folder, name, size)
        return run(*arguments, **keywords, begin=performer.begin)

    app.run = run_driven  # type: ignore[assignment]
    prompts = [
        f"{text}:{weight}" for text, weight in zip(PROMPTS, (0.8, 0.5, 0.3, 0.2), strict=True)
    ]
    return lmdm(["live", "--prompt", *prompts, "--bpm", "96", "--seed", "7"])


class Performer:
    """Steps of a short performance: each a wait, then something done, then perhaps a picture."""

    def __init__(self, folder: Path, name: str, size: str) -> None:
        self._folder, self._name = folder, name
        self._size = [int(figure) for figure in size.split("x")]

    def begin(self, window: Any) -> None:
        """Starts the steps from the window's own event loop."""
        from PyQt6.QtCore import QTimer

        self._window = window
        window.setGeometry(0, 0, *self._size)
        self._steps = self._play()
        self._next: Callable[[], bool] = lambda: True
        self._since = time.monotonic()
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(30)

    def _look(self) -> None:
        if time.monotonic() - self._since > PATIENCE:
            print("screens: gave up waiting", file=sys.stderr)
        elif not self._next():
            return
        self._since = time.monotonic()
        following = next(self._steps, None)
        if following is None:
            self._timer.stop()
            self._window.end()
        else:
            self._next = following

    def _play(self) -> Iterator[Callable[[], bool]]:
        from PyQt6.QtCore import Qt
        from PyQt6.QtTest import QTest

        from lmdm.live import messages as m

        window, stage = self._window, self._window.stage
        yield self.after(0.5)
        self.picture("loading")
        yield lambda: stage.snapshot.status == "playing" and stage.snapshot.heard > 44100
        stage.send(m.SetQuantise("bar"))
        stage.send(m.StoreScene("Dawn"))
        stage.send(m.StartRecording())
        window.macros.shape.density.moved.emit(0.7)
        yield self.after(2.0)
        stage.send(m.StoreScene("Walk"))
        for key, pause in ((Qt.Key.Key_A, 0.8), (Qt.Key.Key_D, 0.6), (Qt.Key.Key_G, 1.0)):
            QTest.keyPress(window.keys, key)
            yield self.after(pause)
        window.macros.shape.guidance.moved.emit(2.2)
        yield self.after(3.0)
        window.blend.go(0.35, 0.4)
        yield self.after(8.0)
        window.scenes.call("Dawn")
        yield self.after(0.6)
        self.picture("main")
        for key in (Qt.Key.Key_A, Qt.Key.Key_D, Qt.Key.Key_G):
            QTest.keyRelease(window.keys, key)
        stage.send(m.BeginLearn("set_guidance"))
        yield self.after(0.6)
        self.picture("learn")
        window.learn_card.give_up()
        window.open_dialog("set-up")
        yield self.after(1.5)
        self.picture("set-up")
        window._dialogs["set-up"].close()
        stage.send(m.StopRecording())
        takes = window.open_dialog("takes")
        yield lambda: bool(stage.snapshot.takes)
        yield self.after(0.5)
        self.picture("takes")
        takes.close()
        for child in multiprocessing.active_children():
            if "engine" in child.name:  # the one that plays, and the one that stands by
                child.kill()
        yield lambda: bool(window.banner.text)
        yield self.after(0.1)
        self.picture("banner")
        yield lambda: stage.snapshot.status == "playing"
        yield self.after(2.0)
        window.lock.set_locked(True)
        yield self.after(1.0)
        self.picture("lock")
        window.lock.set_locked(False)

    def after(self, seconds: float) -> Callable[[], bool]:
        """True once so many seconds have passed."""
        end = time.monotonic() + seconds
        return lambda: time.monotonic() >= end

    def picture(self, what: str) -> None:
        """Saves the whole screen."""
        from PyQt6.QtWidgets import QApplication

        screen = QApplication.primaryScreen()
        assert screen is not None
        screen.grabWindow(0).save(str(self._folder / f"{what}-{self._name}.png"))  # type: ignore[arg-type]


if __name__ == "__main__":
    raise SystemExit(main())
