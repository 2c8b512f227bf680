"""Our MIDI ports: a virtual one, the devices there are, outputs; all found again by their names.

ports = MidiPorts(lambda device, event: print(device, event))
ports.open_output("drum machine")
ports.send(Clock(0.0), "drum machine")
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from audio_io.hosted import spawn
from audio_io.midi_events import MidiEvent, MidiParser, encode
from audio_io.midi_ports import NO_MIDI, available_apis
from audio_io.midi_process import EVENT, serve
from lmdm.errors import InputError

VIRTUAL = ""  # the name of our virtual output
ANSWER_SECONDS = 20.0
RESTART_SECONDS = 0.3  # before a process that died is started again

Sink = Callable[[str, MidiEvent], None]


class MidiPorts:
    """All the MIDI ports of a performance, in a process of their own (see `midi_process`).

    Devices are opened as they are plugged in and again when they come back; so is everything when
    a sound server died and is there again.

    Threads: one thread of our own calls `sink(device, event)` and `lost(device)`, which must return
    at once; everything else may be called from any thread.
    """

    def __init__(
        self, sink: Sink, wanted: str | None = None, lost: Callable[[str], None] = lambda _: None
    ) -> None:
        """`wanted`: part of the name of an input that must be there, beside the devices there are.

        Raises:
            InputError: there is no MIDI here, or not the input wanted.
        """
        if not available_apis():
            raise InputError(NO_MIDI)
        self._sink, self._lost = sink, lost
        self._wanted, self._outputs = wanted, list[str]()
        self._state: dict[str, Any] = {"inputs": [], "outputs": {}, "sources": [], "sinks": []}
        self._parsers: dict[int, tuple[str, MidiParser]] = {}
        self._lock = threading.Lock()
        self._answered = threading.Condition()
        self._problem: str | None = None
        self._closing = False
        self._start()
        self._thread = threading.Thread(target=self._run, name="midi in", daemon=True)
        self._thread.start()
        problem = self._wait()
        if problem:
            self.close()
            raise InputError(problem)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs that are open."""
        return tuple(name for _, name, _ in self._state["inputs"])

    @property
    def devices(self) -> tuple[str, ...]:
        """The same as the musician knows them, whatever socket they sit in."""
        return tuple(device for _, _, device in self._state["inputs"])

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all ports that could be listened to."""
        return tuple(self._state["sources"])

    @property
    def sinks(self) -> tuple[str, ...]:
        """Names of all ports that could be sent to."""
        return tuple(self._state["sinks"])

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs that are open: name asked for -> name of the port."""
        return dict(self._state["outputs"])

    def select(self, wanted: str | None) -> None:
        """Listens to a named input instead of the former one; None: only to devices.

        Raises:
            InputError: there is no such input. The former one is kept.
        """
        problem = self._ask(select=wanted or "")
        if problem:
            raise InputError(problem)
        self._wanted = wanted or None

    def open_output(self, name: str = VIRTUAL) -> None:
        """Opens an output by (part of) its name, now or as soon as it is there."""
        if name not in self._outputs:
            self._outputs.append(name)
            self._command(open=name)

    def send(self, event: MidiEvent, output: str = VIRTUAL) -> None:
        """Sends an event; while its port is away it is lost."""
        self._command(send=output, bytes=list(encode(event)))

    def close(self) -> None:
        """Closes every port."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._process.kill()
        self._process.join()
        self._thread.join()

    # --- the other process ----------------------------------------------------------------------

    def _start(self) -> None:
        self._process, self._pipe = spawn(serve, self._wanted, tuple(self._outputs))

    def _command(self, **command: object) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send_bytes(json.dumps(command).encode())

    def _ask(self, **command: object) -> str:
        with self._answered:
            self._problem = None
        self._command(**command)
        return self._wait()

    def _wait(self) -> str:
        with self._answered:
            self._answered.wait_for(lambda: self._problem is not None, ANSWER_SECONDS)
            return "the MIDI driver does not answer" if self._problem is None else self._problem

    def _run(self) -> None:
        while not self._closing:
            try:
                if self._pipe.poll(0.1):
                    self._take(self._pipe.recv_bytes())
            except (EOFError, OSError):
                if not self._closing:
                    self._restart()

    def _take(self, message: bytes) -> None:
        if not message.startswith(b"{"):
            number, at = EVENT.unpack_from(message)
            device, parser = self._parsers.get(number, ("", MidiParser()))
            for event in parser.feed(message[EVENT.size :], at):
                self._sink(device, event)
            return
        state = json.loads(message)
        self._become(state)
        if "problem" in state:
            with self._answered:
                self._problem = state["problem"]
                self._answered.notify_all()

    def _become(self, state: dict[str, Any]) -> None:
        present = {number: device for number, _, device in state["inputs"]}
        gone = [number for number in self._parsers if number not in present]
        left = [self._parsers.pop(number)[0] for number in gone]
        for number, device in present.items():
            self._parsers.setdefault(number, (device, MidiParser()))
        self._state = state
        for device in left:
            self._lost(device)

    def _restart(self) -> None:
        """A driver took the process along: everything is lost, and looked for anew."""
        self._become(self._state | {"inputs": [], "outputs": {}})
        self._process.join()
        time.sleep(RESTART_SECONDS)
        if not self._closing:
            with self._lock:
                self._pipe.close()
                self._start()
