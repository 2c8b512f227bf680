"""MIDI ports that are ours: found by name, stamped at arrival, reopened when they come back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from audio_io import midi_ports
from audio_io.midi_events import MidiEvent, MidiParser, encode
from audio_io.midi_ports import (
    APIS,
    CLIENT_NAME,
    Direction,
    MidiPort,
    PortList,
    device_name,
    find_port,
    list_ports,
    rtmidi_module,
)
from lmdm.errors import InputError

POLL_SECONDS = 0.5  # how often ports are looked for

Sink = Callable[[MidiEvent], None]


class _Port:
    """One open port, named or virtual, that comes back by itself.

    Threads: a watch thread notices when the port (or its server) vanishes and reopens it within a
    second of its return. `connected` may be read from anywhere.
    """

    direction: Direction = "input"

    def __init__(self, port: str | None, api: str | None) -> None:
        self._wanted = port
        self._client: Any = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.connected = False
        self.port_name = ""  # as the system writes it
        self.device = ""  # as the musician knows it
        if api is not None and api not in APIS:
            raise InputError(f"no MIDI API {api!r}: choose one of {', '.join(APIS)}")
        self._apis = [api] if api else midi_ports.available_apis()
        if not any(self._open(each) for each in self._apis):
            raise InputError(self._complaint())
        self._poll = threading.Thread(target=self._watch, name="midi watch", daemon=True)
        self._poll.start()

    def _complaint(self) -> str:
        if not any(midi_ports.may_work(api) for api in self._apis):
            wanted = " or ".join(self._apis) or "ALSA sequencer, JACK server"
            return f"no MIDI {self.direction}: this machine has no {wanted} running"
        names = "; ".join(e.name for api in self._apis for e in list_ports(api, self.direction))
        return (
            f"no MIDI {self.direction} port {self._wanted!r}: "
            f"choose one of {names or 'none (no port is there)'}"
        )

    def _open(self, api: str) -> bool:
        client = midi_ports.open_client(api, self.direction)
        if client is None:
            return False
        short = "in" if self.direction == "input" else "out"
        try:
            names = client.get_ports()
            index = find_port(self._wanted, names)
            if self._wanted is None and api != "winmm":
                client.open_virtual_port(short)
                self.port_name, self.device = f"{CLIENT_NAME}:{short}", "virtual"
            elif index is not None:
                client.open_port(index, short)
                self.port_name = names[index]
                self.device = device_name(MidiPort(api, names[index]))
            else:
                client.delete()
                return False
        except rtmidi_module().RtMidiError:
            client.delete()
            return False
        self._client, self._api, self.connected = client, api, True
        self._opened(client)
        return True

    def _opened(self, client: Any) -> None:
        """Sets up a client that has just been opened."""

    def _present(self, ports: PortList) -> bool:
        """Whether the port is still there. A virtual one lives as long as its server."""
        if self._wanted is not None or self._api != "jack":
            return self._wanted is None or self.port_name in ports.names()
        other: Direction = "output" if self.direction == "input" else "input"
        client = midi_ports.open_client("jack", other, midi_ports.WATCH_NAME)
        if client is None:
            return False
        own = any(name.startswith(CLIENT_NAME) for name in client.get_ports())
        client.delete()
        return own

    def _watch(self) -> None:
        ports: PortList | None = None
        missing = 0
        while not self._closing.wait(POLL_SECONDS):
            if self.connected:
                ports = ports or PortList(self._api, self.direction)
                missing = 0 if self._present(ports) else missing + 1
            with self._lock:
                # A virtual port may be missing from one look only, while others rename theirs.
                if self.connected and missing > (self._wanted is None):
                    self._drop()
                if not self.connected and not self._closing.is_set():
                    any(self._open(api) for api in self._apis)
                    ports, missing = None if ports is None else _closed(ports), 0
        if ports is not None:
            ports.close()

    def _drop(self) -> None:
        self.connected = False
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(rtmidi_module().RtMidiError):
                if self.direction == "input":
                    client.cancel_callback()
                client.close_port()
                client.delete()

    def close(self) -> None:
        """Closes the port; no event arrives or leaves after that."""
        self._closing.set()
        with self._lock:
            self._drop()
        self._poll.join()


def _closed(ports: PortList) -> None:
    ports.close()


class MidiInput(_Port):
    """One open input port that hands events to a sink; see `_Port` for how it comes back.

    Threads: RtMidi's thread calls `sink` for every event (it must return at once, e.g. put the
    event into a queue).
    """

    direction = "input"

    def __init__(
        self,
        sink: Sink,
        port: str | None = None,
        api: str | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Opens a port.

        Args:
            sink: takes each event, in RtMidi's thread.
            port: a part of the port's name in upper or lower case; None makes a virtual port
                "LMDM Live" that other programs connect to (the first port where there are none).
            api: "alsa", "jack", "coremidi" or "winmm"; None takes the best one that works, and for
                a named port the first one that has it.
            lost: called in the watch thread when the port has vanished.
        Raises: InputError, one sentence.
        """
        self._sink, self._lost = sink, lost
        super().__init__(port, api)

    def _opened(self, client: Any) -> None:
        self._parser = MidiParser()
        client.ignore_types(sysex=True, timing=False, active_sense=True)
        client.set_callback(self._arrived)

    def _drop(self) -> None:
        was = self.connected
        super()._drop()
        if was and not self._closing.is_set():
            self._lost()

    def _arrived(self, message: tuple[list[int], float], _: object) -> None:
        now = time.perf_counter()
        for event in self._parser.feed(bytes(message[0]), now):
            self._sink(event)


class MidiOutput(_Port):
    """One open output port; what is sent while it is away is lost.

    Threads: any thread may `send`.
    """

    direction = "output"

    def __init__(self, port: str | None = None, api: str | None = None) -> None:
        """Opens a port, as `MidiInput` does."""
        super().__init__(port, api)

    def send(self, event: MidiEvent) -> None:
        """Sends one event."""
        with self._lock:
            if self._client is not None:
                with contextlib.suppress(rtmidi_module().RtMidiError):
                    self._client.send_message(list(encode(event)))


class MidiInputs:
    """All the inputs of a performance: our virtual port, the devices there are, one by name.

    Threads: a scan thread opens devices that are plugged in; see `MidiInput` for the rest. `sink`
    and `lost` are called with the device's name in various threads and must return at once.
    """

    def __init__(
        self,
        sink: Callable[[str, MidiEvent], None],
        wanted: str | None = None,
        lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`wanted`: part of a port's name that must be there; None: whatever there is.

        Raises:
            InputError: there is no MIDI here, or not the port wanted.
        """
        self._sink, self._on_lost = sink, lost
        self._lock = threading.Lock()
        self._named: MidiInput | None = None
        self._virtual: MidiInput | None = None
        self._hardware: dict[MidiPort, MidiInput] = {}
        self._lists: dict[str, PortList] = {}
        self._seen: list[MidiPort] = []
        self._closing = threading.Event()
        self._wanted = wanted
        if wanted is not None:
            self._named = self._input(wanted)
        self._virtual = self._try(None)
        self._scan()
        if self._virtual is None and not self._hardware and self._named is None:
            raise InputError(
                "no MIDI input: this machine has no ALSA sequencer, JACK server running"
            )
        self._thread = threading.Thread(target=self._run, name="midi scan", daemon=True)
        self._thread.start()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the ports that are open and there."""
        return tuple(each.port_name for each in self._all() if each.connected)

    @property
    def devices(self) -> tuple[str, ...]:
        """The same as the musician knows them, whatever socket they sit in."""
        return tuple(each.device for each in self._all() if each.connected)

    @property
    def ports(self) -> tuple[str, ...]:
        """Names of all ports there are to choose from."""
        return tuple(each.name for each in self._seen)

    def select(self, wanted: str | None) -> None:
        """Listens to a named port instead of the former one. Raises InputError."""
        chosen = None if not wanted else self._input(wanted)
        with self._lock:
            former, self._named, self._wanted = self._named, chosen, wanted or None
            doubled = [p for p in self._hardware if chosen and p.name == chosen.port_name]
            closing = [self._hardware.pop(port) for port in doubled]
        for each in [former, *closing]:
            if each is not None:
                each.close()

    def close(self) -> None:
        """Closes every port."""
        self._closing.set()
        self._thread.join()
        for each in self._all():
            each.close()
        for ports in self._lists.values():
            ports.close()

    def _all(self) -> list[MidiInput]:
        with self._lock:
            each = [self._named, *self._hardware.values(), self._virtual]
        return [port for port in each if port is not None]

    def _input(self, port: str | None, api: str | None = None) -> MidiInput:
        device: list[str] = []

        def sink(event: MidiEvent) -> None:
            self._sink(device[0] if device else "", event)

        opened = MidiInput(sink, port, api, lambda: self._on_lost(device[0]))
        device.append(opened.device)
        return opened

    def _try(self, port: str | None, api: str | None = None) -> MidiInput | None:
        try:
            return self._input(port, api)
        except InputError:
            return None

    def _run(self) -> None:
        while not self._closing.wait(POLL_SECONDS):
            if self._virtual is None:
                self._virtual = self._try(None)
            self._scan()

    def _scan(self) -> None:
        """Opens every device that is there and not open; those that left wait for their return."""
        seen: list[MidiPort] = []
        for api in midi_ports.available_apis():
            ports = self._lists.setdefault(api, PortList(api, "input"))
            seen += [MidiPort(api, name) for name in ports.names()]
        self._seen = seen
        taken = self._named.port_name if self._named is not None else None
        for port in seen:
            new = port not in self._hardware and port.name != taken
            if new and midi_ports.is_hardware(port):
                opened = self._try(port.name, port.api)
                if opened is not None:
                    with self._lock:
                        self._hardware[port] = opened
