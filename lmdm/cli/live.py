"""`lmdm live`: the instrument, with a window, in the terminal, or for a number of seconds."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lmdm.cli import options as shared

if TYPE_CHECKING:
    from lmdm.cli.performance import Performance
    from ui.terminal import TerminalView


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--no-gui", action="store_true", help="the terminal view, no window")
    parser.add_argument("--seconds", type=shared.duration, metavar="N", help="play so long")
    parser.add_argument(
        "--audio-device", metavar="NAME", help="output device: a name, part of one, or its number"
    )
    parser.add_argument(
        "--midi", metavar="PORT", help="MIDI input: part of a port's name (default: a virtual port)"
    )
    parser.add_argument("--take", type=Path, metavar="DIR", help="record a take into this folder")
    parser.add_argument(
        "--lead",
        type=shared.number(0.05, 10),
        default=1.5,
        metavar="S",
        help="seconds of sound made ahead: more is safer, and costs no latency (1.5)",
    )
    shared.add_controls(parser)
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Plays until the window closes, the time is over, or Ctrl-C."""
    controls = shared.controls_from(options, {})
    window, reason = _window(options.no_gui)

    from lmdm.cli.performance import Performance, PerformanceSettings

    performance = Performance(
        PerformanceSettings(
            model=options.model,
            controls=controls,
            lead=options.lead,
            threads=options.threads,
            audio_device=options.audio_device,
            midi_port=options.midi,
            take=options.take,
        )
    )
    performance.open()
    try:
        notices = [*([reason] if reason else []), *performance.notices]
        if window:
            _play_in_window(performance, notices, options.seconds)
        else:
            _play_in_terminal(performance, notices, options.seconds)
        performance.check()
    except KeyboardInterrupt:
        pass  # the musician ends; what was played is kept
    finally:
        report = performance.close()
    if options.json:
        print(json.dumps(report))
    else:
        _say(
            f"played {report['seconds']:.1f} s, {report['underruns']} underruns, "
            f"real-time factor {report['real_time_factor']:.2f}"
            + (f", take in {report['take']}" if report["take"] else "")
        )
    return 0


def _window(no_gui: bool) -> tuple[bool, str]:
    """Whether to open a window, and one line that says why not, where that was not asked for."""
    if no_gui:
        return False, ""
    if find_spec("PyQt6") is None:
        return False, "no window: PyQt6 is not installed; playing in the terminal"
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    offscreen = os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal", "vnc")
    if sys.platform.startswith("linux") and not offscreen:
        if not any(os.environ.get(name) for name in displays):
            return False, "no window: there is no display; playing in the terminal"
    return True, ""


def _play_in_window(performance: Performance, notices: list[str], seconds: float | None) -> None:
    from ui import app
    from ui.hearing import Hearing

    _say_all(notices)
    hearing = Hearing()
    performance.add_listener(hearing.hear)
    app.run(performance.send, performance.snapshot, sound=hearing.take, seconds=seconds)


def _play_in_terminal(performance: Performance, notices: list[str], seconds: float | None) -> None:
    from ui.terminal import TerminalView

    view = TerminalView(performance.send, performance.snapshot)
    with view:
        _wait_playing(performance, view)
        _say_all(notices)
        end = None if seconds is None else time.monotonic() + seconds
        while not performance.quitting.is_set() and (end is None or time.monotonic() < end):
            view.refresh()
            performance.check()
            left = 0.05 if end is None else max(0.0, min(0.05, end - time.monotonic()))
            performance.quitting.wait(left)


def _wait_playing(performance: Performance, view: TerminalView) -> None:
    """Waits for the first sound, the view being refreshed meanwhile."""
    ready = threading.Event()

    def wait() -> None:
        with suppress(RuntimeError, ValueError):  # told below, in the main thread
            performance.wait_playing()
        ready.set()

    threading.Thread(target=wait, name="wait", daemon=True).start()
    while not ready.wait(0.05):
        view.refresh()
        if performance.quitting.is_set():
            return
    performance.wait_playing()


def _say_all(lines: list[str]) -> None:
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    print(f"lmdm: {line}", file=sys.stderr, flush=True)
