"""The process that owns the MIDI ports: RtMidi lives and dies here, never in the main process.

Two reasons. A JACK server that dies takes RtMidi's clients along, with a segmentation fault when
they are closed; here that costs a process, which the main one starts again. And events are stamped
in a process that does nothing else, so that a clock's ticks do not wait for the interpreter lock.

To the main process go events, `EVENT` (device, time, bytes), and JSON states; from it come JSON
commands: `select` (an input by name), `open` (an output by name), `send` (bytes to an output).
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from audio_io.device_process import settle
from audio_io.midi_ports import (
    CLIENT_NAME,
    NO_MIDI,
    Direction,
    MidiPort,
    PortList,
    available_apis,
    device_name,
    devices_among,
    find_port,
    jack_died,
    numbered,
    open_client,
    rtmidi_module,
)

SCAN_SECONDS = 0.1  # between two looks: a cable that is pulled for a shorter time is not noticed
EVENT = struct.Struct("<Bd")  # number of the input, perf_counter seconds; the MIDI bytes follow
MOST_INPUTS = 100  # an event's first byte is below that of a JSON text, 123
SERVER_DIED = 3  # exit status
_DIRECTIONS: tuple[Direction, Direction] = ("input", "output")
OUTPUT_CLIENT, DEVICE_CLIENT = f"{CLIENT_NAME} out", f"{CLIENT_NAME} device"
VIRTUAL_IN, VIRTUAL_OUT = f"{CLIENT_NAME}:in", f"{OUTPUT_CLIENT}:out"


def serve(pipe: Connection, wanted: str | None, outputs: tuple[str, ...]) -> None:
    """Process: opens our virtual port, the devices there are, the input wanted and the outputs."""
    settle()
    ports = _Ports(pipe, wanted, outputs)
    ports.say(problem=ports.complaint())
    while True:
        deadline = time.monotonic() + SCAN_SECONDS
        while (left := deadline - time.monotonic()) > 0.0:
            try:
                if pipe.poll(left):
                    ports.obey(json.loads(pipe.recv_bytes()))
            except (EOFError, OSError):  # the main process is gone
                os._exit(0)
        ports.scan()


class _Input:
    """One open input: a number for the wire, the port, and what it is called."""

    def __init__(self, number: int, client: Any, port: MidiPort, device: str) -> None:
        self.number, self.client, self.port, self.device = number, client, port, device


class _Ports:
    """Everything that is open.

    Threads: one owner; RtMidi's threads write events into the pipe, which a lock keeps whole.
    """

    def __init__(self, pipe: Connection, wanted: str | None, outputs: tuple[str, ...]) -> None:
        self._pipe, self._lock = pipe, threading.Lock()
        self._wanted, self._wanted_outputs = wanted, list(outputs)
        self._lists: dict[tuple[str, str], PortList] = {}
        self._numbers = 0
        self._inputs: dict[str, _Input] = {}  # "virtual" or the port's name
        self._outputs: dict[str, tuple[Any, MidiPort]] = {}  # name asked for -> client, port
        self._free: dict[tuple[str, Direction], list[Any]] = {}  # clients without a port
        self._sources: list[MidiPort] = []  # that could be listened to
        self._sinks: list[MidiPort] = []  # that could be sent to
        self._said: dict[str, Any] = {}
        self._look()
        self._reconcile()

    def complaint(self) -> str:
        """Why the port wanted is not open; empty if it is, or if none was wanted."""
        if self._wanted is None:
            nothing = not self._inputs and not available_apis()
            return NO_MIDI if nothing else ""
        if any(self._is_wanted(each.port.name) for each in self._inputs.values()):
            return ""
        if not available_apis():
            return NO_MIDI
        names = "; ".join(port.name for port in self._sources)
        return (
            f"no MIDI input port {self._wanted!r}: "
            f"choose one of {names or 'none (no port is there)'}"
        )

    def obey(self, command: dict[str, Any]) -> None:
        """Does what the main process asks."""
        match command:
            case {"send": name, "bytes": message}:
                client, _ = self._outputs.get(name, (None, ""))
                if client is not None:
                    with contextlib.suppress(rtmidi_module().RtMidiError):
                        client.send_message(message)
            case {"select": name}:
                former, self._wanted = self._wanted, name or None
                self._look()
                if name and find_port(name, [port.name for port in self._sources]) is None:
                    problem, self._wanted = self.complaint(), former
                    self.say(problem)
                else:
                    self._reconcile()
                    self.say(self.complaint())
            case {"open": name}:
                if name not in self._wanted_outputs:
                    self._wanted_outputs.append(name)
                self._reconcile()
                self.say()

    def scan(self) -> None:
        """Looks for what was plugged and pulled."""
        self._look()
        self._reconcile()
        self.say()

    def say(self, problem: str | None = None) -> None:
        """Tells the main process how things are, if they are not as before, or it has asked."""
        state = {
            "inputs": [[e.number, e.port.name, e.device] for e in self._inputs.values()],
            "outputs": {name: port.name for name, (_, port) in self._outputs.items()},
            "sources": [port.name for port in self._sources],
            "sinks": [port.name for port in self._sinks],
        }
        if state != self._said or problem is not None:
            self._said = state
            self._write(json.dumps(state | ({} if problem is None else {"problem": problem})))

    def _write(self, message: str | bytes) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send_bytes(message.encode() if isinstance(message, str) else message)

    def _look(self) -> None:
        if jack_died.is_set():
            os._exit(SERVER_DIED)  # before anything touches a client of the dead server
        self._sources, self._sinks = [], []
        for api in available_apis():
            listers = [self._lists.setdefault((api, d), PortList(api, d)) for d in _DIRECTIONS]
            sources, sinks = (lister.names() for lister in listers)
            self._sources += [MidiPort(api, n) for n in sources if not n.startswith(CLIENT_NAME)]
            self._sinks += [MidiPort(api, n) for n in sinks if not n.startswith(CLIENT_NAME)]

    def _is_wanted(self, name: str) -> bool:
        return self._wanted is not None and find_port(self._wanted, [name]) is not None

    def _reconcile(self) -> None:
        """Opens what is there and wanted, closes what left or is wanted no more."""
        present = {port.name: port for port in self._sources}
        chosen = find_port(self._wanted, list(present)) if self._wanted is not None else None
        named = list(present)[chosen] if chosen is not None else ""
        keep = {port.name for port in devices_among(self._sources)} | ({named} - {""})
        for name in [n for n in self._inputs if n != "virtual" and n not in keep]:
            gone = self._inputs.pop(name)
            self._let_go(gone.client, gone.port.api, "input")
        for name in sorted(keep - self._inputs.keys()):
            self._open_input(name, present[name])
        if "virtual" not in self._inputs:
            for api in available_apis():
                if api != "winmm" and self._open_input("virtual", MidiPort(api, "")):
                    break
        self._reconcile_outputs()

    def _reconcile_outputs(self) -> None:
        present = [port.name for port in self._sinks]
        for name, (client, port) in list(self._outputs.items()):
            if port.name != VIRTUAL_OUT and port.name not in present:
                self._let_go(client, port.api, "output")
                del self._outputs[name]
        for name in self._wanted_outputs:
            if name not in self._outputs:
                self._open_output(name)

    def _open_input(self, name: str, port: MidiPort) -> bool:
        own = name == "virtual"
        client = open_client(port.api, "input") if own else self._client(port.api, "input")
        if client is None:
            return False
        number = self._numbers = self._next_number()
        early: list[bytes] | None = []  # what comes before the main process knows who it is

        def hear(message: tuple[list[int], float], _: object) -> None:
            event = EVENT.pack(number, time.perf_counter()) + bytes(message[0])
            with self._lock:
                if early is not None:
                    early.append(event)
                    return
            self._write(event)

        client.ignore_types(sysex=True, timing=False, active_sense=True)
        client.set_callback(hear)  # before the port is open: nothing that is played is lost
        try:
            if own:
                client.open_virtual_port("in")
                port = MidiPort(port.api, VIRTUAL_IN)
            else:
                client.open_port(client.get_ports().index(port.name), "in")
        except (rtmidi_module().RtMidiError, ValueError):
            self._let_go(client, port.api, "input")
            return False
        others = [each.device for each in self._inputs.values()]
        device = numbered([*others, "virtual" if own else device_name(port)])[-1]
        self._inputs[name] = _Input(number, client, port, device)
        self.say()
        with self._lock:
            first, early = early or [], None
            for event in first:
                with contextlib.suppress(OSError):
                    self._pipe.send_bytes(event)
        return True

    def _next_number(self) -> int:
        """A number that no input has, and none has had lately."""
        taken = {each.number for each in self._inputs.values()}
        numbers = ((self._numbers + step) % MOST_INPUTS for step in range(1, MOST_INPUTS + 1))
        return next(number for number in numbers if number not in taken)

    def _open_output(self, name: str) -> None:
        """An output by (part of a) name; the empty name is a virtual port."""
        if not name:
            for api in available_apis():
                client = open_client(api, "output", OUTPUT_CLIENT) if api != "winmm" else None
                if client is not None:
                    client.open_virtual_port("out")
                    self._outputs[name] = (client, MidiPort(api, VIRTUAL_OUT))
                    return
            return
        index = find_port(name, [port.name for port in self._sinks])
        index = self._by_device(name) if index is None else index
        if index is None:
            return
        port = self._sinks[index]
        client = self._client(port.api, "output")
        if client is None:
            return
        try:
            client.open_port(client.get_ports().index(port.name), "out")
        except (rtmidi_module().RtMidiError, ValueError):
            self._let_go(client, port.api, "output")
            return
        self._outputs[name] = (client, port)

    def _by_device(self, name: str) -> int | None:
        names = numbered([device_name(port) for port in self._sinks])
        return names.index(name) if name in names else None

    def _client(self, api: str, direction: Direction) -> Any:
        """A client for a device's port: one that is free, or a new one."""
        free = self._free.get((api, direction))
        return free.pop() if free else open_client(api, direction, DEVICE_CLIENT)

    def _let_go(self, client: Any, api: str, direction: Direction) -> None:
        """Closes a port and keeps its client for the next.

        Where clients come and go with the devices, a JACK server loses count of who waits for whom:
        a third of the devices that came back were connected, and not a note of theirs was heard.
        """
        with contextlib.suppress(rtmidi_module().RtMidiError):
            if direction == "input":
                client.cancel_callback()
            client.close_port()
            self._free.setdefault((api, direction), []).append(client)
