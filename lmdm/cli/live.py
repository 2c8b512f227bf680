"""`lmdm live`: the instrument, with a window, in the terminal, or for a number of seconds."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING

from lmdm.cli import options as shared
from lmdm.live.controls import SETTERS, Controls

if TYPE_CHECKING:
    from lmdm.cli.desk import Desk
    from lmdm.cli.stage.performance import Performance
    from lmdm.live.messages import Message, Snapshot
    from lmdm.live.player import Tap
    from ui.terminal import TerminalView

    AtTheKeys = Callable[
        [Callable[[Message], None], Callable[[], Snapshot]], AbstractContextManager[None]
    ]

GUIDE = """
in the terminal:
  space mute, p panic, q quit, enter play and pause, r record, + - guidance, [ ] prompt blend,
  , . tempo, b tap, 1 to 9 scenes, n new scene, z c undo and redo, v loop the last bar;
  up and down choose any control, left and right move it, l learns a knob for it;
  : types any message (render_take takes/a 8, load_preset Chamber, select_model NAME),
  a to k play notes, ? lists the keys

MIDI, until it is learnt otherwise:
  notes play, channel 10 lets the drums in, CC 1 prompt blend, CC 7 level, CC 64 pedal,
  CC 74 guidance, bend, program change recalls a scene, CC 120 panic, CC 123 all notes off;
  devices are opened as they are plugged in, and "LMDM Live" is a port for other programs

OSC: every message has an address, such as /lmdm/set_guidance 2.5; /lmdm/subscribe PORT has the
  state sent there. More: docs/midi.md, docs/osc.md, docs/routing.md, docs/live.md

examples:
  lmdm live --prompt "felt piano" "church choir" --bpm 96
  lmdm live --no-gui --clock midi --midi "Digitakt" --audio-device "Scarlett" --take tonight
  lmdm live --no-gui --osc 9000 --osc-to 127.0.0.1:9001
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = GUIDE
    parser.add_argument("--no-gui", action="store_true", help="the terminal view, no window")
    parser.add_argument("--seconds", type=shared.duration, metavar="N", help="play so long")
    parser.add_argument("--take", type=Path, metavar="DIR", help="record a take into this folder")
    parser.add_argument(
        "--lead",
        type=shared.number(0.05, 10),
        default=1.5,
        metavar="S",
        help="seconds of sound made ahead: more is safer, and costs no latency (1.5)",
    )
    parser.add_argument(
        "--light",
        type=Path,
        metavar="FILE",
        help="memorization light (docs/safety.md; by default the model's own, if it has one)",
    )
    session = parser.add_argument_group("session").add_mutually_exclusive_group()
    session.add_argument(
        "--restore",
        action="store_true",
        help="go on where the last session ended (by itself only after one that broke off)",
    )
    session.add_argument("--fresh", action="store_true", help="start anew in any case")
    devices = parser.add_argument_group("devices and ports")
    devices.add_argument(
        "--audio-device", metavar="NAME", help="output device: a name, part of one, or its number"
    )
    devices.add_argument("--input", metavar="NAME", help="live input device, as above")
    devices.add_argument(
        "--buffer",
        type=shared.number(5, 1000),
        metavar="MS",
        help="milliseconds of sound kept ready for the device (90)",
    )
    devices.add_argument(
        "--midi", metavar="PORT", help="MIDI input that must be there: part of a port's name"
    )
    devices.add_argument("--midi-out", metavar="PORT", help="where our MIDI clock goes")
    devices.add_argument(
        "--clock", choices=("internal", "midi", "link"), default="internal", help="whose tempo"
    )
    devices.add_argument("--clock-out", action="store_true", help="send MIDI clock")
    devices.add_argument("--osc", metavar="[HOST:]PORT", help="listen to OSC; HOST is 127.0.0.1")
    devices.add_argument("--osc-to", metavar="HOST:PORT", help="send the state there as OSC")
    shared.add_controls(parser)
    shared.add_model(parser)
    parser.add_argument(
        "--auto-player", action="store_true", help="let the bar generator play notes, as MIDI would"
    )
    shared.add_json(parser)


def _setup(options: argparse.Namespace) -> list[Message]:
    """What the options about devices and ports ask of the performance once it is open."""
    from lmdm.live import messages as m

    asked: list[m.Message] = []
    asked += [m.SelectInput(options.input)] if options.input else []
    asked += [m.SelectMidiOutput(options.midi_out)] if options.midi_out else []
    asked += [m.SetClockSource(options.clock)] if options.clock != "internal" else []
    asked += [m.SetClockOut(True)] if options.clock_out else []
    return asked


def run(options: argparse.Namespace) -> int:
    """Plays until the window closes, the time is over, or Ctrl-C."""
    controls = shared.controls_from(options, {})
    asked = controls != Controls()  # the musician says what is to be played: nothing is restored
    window, reason = _window(options.no_gui)

    import platformdirs

    from lmdm.cli.stage.performance import Performance, PerformanceSettings

    performance = Performance(
        PerformanceSettings(
            model=options.model,
            controls=controls,
            lead=options.lead,
            threads=options.threads,
            precision=options.precision,
            audio_device=options.audio_device,
            midi_port=options.midi,
            light="" if options.light is None else str(options.light.resolve()),
            take=options.take,
            home=platformdirs.user_state_path("lmdm"),
            restore=True if options.restore else False if options.fresh or asked else None,
            osc=shared.address(options.osc, "127.0.0.1", "--osc"),
            osc_to=shared.address(options.osc_to, None, "--osc-to"),
            **({} if options.buffer is None else {"buffer_ms": options.buffer}),
        )
    )
    hearers: list[Tap] = []  # of whichever performance plays
    desk = _desk_around(performance, hearers)
    terminated = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    try:
        with _interrupts_wait():
            performance.open()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
        for message in _setup(options):
            performance.send(message)
        notices = [*([reason] if reason else []), *performance.notices]
        auto = _auto_player(controls.seed, options.auto_player)
        _say_all(notices if window else [])
        if window:
            _play_in_window(desk, hearers, options.seconds, auto)
        else:
            _play_in_terminal(desk, notices, options.seconds, auto)
        desk.performance.check()
    except KeyboardInterrupt:
        pass  # the musician ends; what was played is kept
    finally:
        desk.close()
        report = desk.performance.close()
        signal.signal(signal.SIGTERM, terminated)
    if options.json:
        print(json.dumps(report))
    elif report:
        _say(
            f"played {report['seconds']:.1f} s, {report['underruns']} underruns, "
            f"real-time factor {report['real_time_factor']:.2f}"
            + (f", take in {report['take']}" if report["take"] else "")
        )
    return 0


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C is obeyed when what is being opened is open, and so can be closed again.

    Processes that are started meanwhile never hear it: they end when this one does.
    """
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if masks:
        resource_tracker.ensure_running()  # whose start would let interrupts through again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if interrupted.is_set():
        raise KeyboardInterrupt


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


def _auto_player(seed: int, wanted: bool) -> AtTheKeys:
    """What puts the bar generator at the keys of a performance, if it is wanted."""
    from lmdm.cli.stage.auto_player import playing

    return partial(playing, seed=seed) if wanted else lambda _send, _snapshot: nullcontext()


def _play_in_window(
    desk: Desk[Performance], hearers: list[Tap], seconds: float | None, auto: AtTheKeys
) -> None:
    """Plays until the window closes."""
    from ui import app
    from ui.hearing import Hearing
    from ui.preferences import usual_file

    hearing = Hearing()
    hearers.append(hearing.hear)
    desk.performance.add_listener(hearing.hear)
    with auto(desk.send, desk.snapshot):
        app.run(
            desk.send,
            desk.snapshot,
            sound=hearing.take,
            seconds=seconds,
            preferences=usual_file(),
        )


def _desk_around(performance: Performance, hearers: list[Tap]) -> Desk[Performance]:
    """A desk that can change the model. hearers: hear every performance that it opens."""
    from platformdirs import user_data_path

    from lmdm.cli.desk import Desk
    from lmdm.cli.desk.presets import Presets

    osc: tuple[tuple[str, int] | None, tuple[tuple[str, int], ...]] = (None, ())

    def reopen(model: str) -> Performance:
        """Another performance with another model, that goes on as this one stood."""
        nonlocal osc
        following = _with_model(desk.performance, model)
        following.front = desk
        if desk.performance.opened:
            osc = desk.performance.osc.addresses()
        desk.performance.close()
        following.open()
        following.osc.open(*osc)
        for hear in hearers:
            following.add_listener(hear)
        return following

    presets = Presets(user_data_path("lmdm") / "presets")
    desk = Desk(performance, presets, Path("takes"), reopen)
    performance.front = desk
    return desk


def _with_model(performance: Performance, model: str) -> Performance:
    """A performance set up as another is now, but for its model. It is not opened."""
    from lmdm.cli.stage.performance import Performance

    snapshot = performance.snapshot()
    values = {name: getattr(snapshot, name, None) for name in SETTERS if name != "style"}
    controls = Controls.from_dict(
        {name: value for name, value in values.items() if value is not None}, "the session"
    )
    settings = replace(
        performance.settings,
        model=model,
        controls=controls,
        take=None,
        restore=False,
        osc=None,  # is taken over, with all that has changed
        osc_to=None,
        light="",  # one that was named is for the model that was named with it
    )
    return Performance(settings)


def _play_in_terminal(
    desk: Desk[Performance], notices: list[str], seconds: float | None, auto: AtTheKeys
) -> None:
    """Plays until the musician or the time ends it."""
    from ui.terminal import TerminalView

    view = TerminalView(desk.send, desk.snapshot)
    with view, auto(desk.send, desk.snapshot):
        _wait_playing(desk.performance, view)
        _say_all(notices)
        end = None if seconds is None else time.monotonic() + seconds
        while not desk.performance.quitting.is_set():
            view.refresh()
            if not desk.opening:
                desk.performance.check()
            left = 0.05 if end is None else min(0.05, end - time.monotonic())
            if left <= 0.0 or desk.performance.quitting.wait(left):
                return


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
