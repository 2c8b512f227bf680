"""What the panel costs: processor time, frames, and memory over a scripted performance.

python -m ui.measure --seconds 60          one minute in real time, as it is played
python -m ui.measure --hours 4             that many hours' worth of snapshots and sound, fast
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MEGABYTE = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, help="instead: so many hours, as fast as it goes")
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--idle", action="store_true", help="nobody touches anything")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    size = tuple(int(figure) for figure in options.size.split("x"))
    if options.hours is not None:
        figures = long_run(options.hours, (size[0], size[1]))
    else:
        figures = short_run(options.seconds, (size[0], size[1]), played=not options.idle)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<28} {value}")
    return 0


def short_run(seconds: float, size: tuple[int, int], played: bool = True) -> dict[str, Any]:
    """Plays on the panel in real time; processor time is that of this process, all threads.

    What the pretended engine's snapshots need by themselves is taken off; its sound is made before.
    """
    from PyQt6.QtCore import QTimer

    _, stage, window, demo = panel(size)
    gaps: list[float] = []
    last = time.perf_counter()

    def frame() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    stage.ticked.connect(frame)
    window.show()
    stage.start()
    hand = QTimer()
    hand.setInterval(50)
    hand.timeout.connect(performer(window))
    if played:
        hand.start()
    go_on(1.0)  # what is made once, at the beginning, is not counted
    gaps.clear()
    began, processor = time.perf_counter(), time.process_time()
    go_on(seconds)
    passed, used = time.perf_counter() - began, time.process_time() - processor
    engine = look_seconds(demo, len(gaps) // 3)
    hand.stop()
    window.end()
    stretches = np.array(gaps) * 1000
    return {
        "seconds": round(passed, 1),
        "frames a second": round(len(gaps) / passed, 1),
        "of one core, percent": round(100 * (used - engine) / passed, 1),
        "pretended engine, percent": round(100 * engine / passed, 1),
        "frame to frame p50, ms": round(float(np.percentile(stretches, 50)), 1),
        "frame to frame p99, ms": round(float(np.percentile(stretches, 99)), 1),
        "frame to frame most, ms": round(float(stretches.max()), 1),
        "longest handler, ms": round(longest_handler(size), 1),
    }


def go_on(seconds: float) -> None:
    """Lets the event loop run."""
    from PyQt6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def longest_handler(size: tuple[int, int]) -> float:
    """The longest that one step of a performance keeps the GUI thread, in milliseconds."""
    application, stage, window, _ = panel(size)
    window.show()
    act = performer(window)
    longest = 0.0
    for turn in range(240):
        for step in (act, stage.tick, application.processEvents):
            began = time.thread_time()
            step()
            if turn >= 40:  # by then the window has been drawn for the first time
                longest = max(longest, time.thread_time() - began)
    window.end()
    return longest * 1000


def long_run(hours: float, size: tuple[int, int]) -> dict[str, Any]:
    """Many hours' worth of snapshots and sound; memory after a tenth of them and at the end."""
    now = 0.0
    application, stage, window, _ = panel(size, clock=lambda: now)
    window.show()
    act = performer(window)
    frames = round(hours * 3600 * 20)  # snapshots come 20 times a second
    early = 0.0
    for number in range(frames):
        now += 0.05
        stage.tick()
        if number % 5 == 0:
            act()
        if number % 40 == 0:
            application.processEvents()
        if number == frames // 10:
            gc.collect()
            early = resident()
    gc.collect()
    late = resident()
    window.end()
    return {
        "hours": hours,
        "snapshots": frames,
        "memory after a tenth, MB": round(early / MEGABYTE, 1),
        "memory at the end, MB": round(late / MEGABYTE, 1),
        "growth, percent": round(100 * (late / early - 1), 2),
    }


def panel(
    size: tuple[int, int], clock: Callable[[], float] = time.monotonic
) -> tuple[Any, Any, Any, Any]:
    """An application, a stage and a window over a pretended session."""
    from PyQt6.QtWidgets import QApplication

    from ui import theme
    from ui.demo import Demo
    from ui.main_window import MainWindow
    from ui.stage import Stage

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    theme.apply(application)
    demo = Demo(clock=clock)
    stage = Stage(demo.take_control, demo.look, clock=clock)
    window = MainWindow(stage, Canned(demo, clock).listen, clock=clock)
    window.resize(*size)
    return application, stage, window, demo


def performer(window: Any) -> Callable[[], None]:
    """What a busy pair of hands does, a step a call: dials, blend, notes, scenes, prompts."""
    step = 0

    def act() -> None:
        nonlocal step
        step += 1
        phase = step / 20
        if step % 2 == 0:
            window.blend.go(0.5 + 0.4 * np.sin(phase), 0.5 + 0.4 * np.cos(phase))
        else:
            window.macros.shape.density.moved.emit(round(0.5 + 0.5 * float(np.sin(phase)), 2))
        if step % 5 == 0:
            window.played.press("hand", 48 + step % 24)
        if step % 80 == 0:
            window.scenes.call(window.stage.snapshot.scenes[step // 80 % 4])
        if step % 200 == 0:
            pad = window.prompts.pads[step // 200 % 4]
            pad.text.setText(f"prompt {step}")
            pad.text.editingFinished.emit()

    return act


class Canned:
    """Some seconds of the demo's sound, made beforehand and given over and over."""

    def __init__(self, demo: Any, clock: Callable[[], float], seconds: int = 8) -> None:
        demo._given = -44100 * seconds
        self._sound = demo.listen()[: 44100 * seconds]
        self._clock = clock
        self._begin, self._given = clock(), 0

    def listen(self) -> np.ndarray:
        """The sound since the last call [samples, 2]."""
        end = round((self._clock() - self._begin) * 44100)
        places = np.arange(self._given, end) % len(self._sound)
        self._given = end
        return np.asarray(self._sound[places])


def look_seconds(demo: Any, looks: int) -> float:
    """Processor seconds that so many snapshots of the pretended engine need by themselves."""
    began = time.process_time()
    for _ in range(200):
        demo.look()
    return (time.process_time() - began) / 200 * looks


def resident() -> float:
    """Bytes of memory this process holds."""
    with open("/proc/self/statm") as statm:
        return float(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    raise SystemExit(main())
