"""MIDI input ports (RtMidi): found by name, stamped at arrival, reopened when they come back."""

from __future__ import annotations

import glob
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_io.midi_events import MidiEvent, parse
from lmdm.errors import InputError

CLIENT_NAME = "LMDM Live"
_POLL_SECONDS = 0.5  # how often a named port is looked for
# RtMidi's own numbers of its APIs (RtMidi.h), in order of preference.
_APIS = {"coremidi": 1, "winmm": 4, "alsa": 2, "jack": 3}

Sink = Callable[[MidiEvent], None]


@dataclass(frozen=True)
class MidiPort:
    """One MIDI input port."""

    api: str
    name: str


def available_apis() -> list[str]:
    """APIs that can work here, best first; the others are not even tried, since they print."""
    compiled = _rtmidi().get_compiled_api()
    return [api for api, number in _APIS.items() if number in compiled and _may_work(api)]


def _may_work(api: str) -> bool:
    if not sys.platform.startswith("linux"):
        return api != "jack"
    if api == "alsa":
        return Path("/dev/snd/seq").exists()
    if api == "jack":
        server = glob.escape(os.environ.get("JACK_DEFAULT_SERVER", "default"))
        pipewire = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "pipewire-0"
        return pipewire.exists() or any(Path("/dev/shm").glob(f"jack_{server}_*"))
    return True


def list_ports(api: str | None = None) -> list[MidiPort]:
    """All input ports of one API, or of every one that works here."""
    ports: list[MidiPort] = []
    for each in [api] if api else available_apis():
        client = _client(each)
        if client is not None:
            ports += [MidiPort(each, name) for name in client.get_ports()]
            client.delete()
    return ports


class MidiInput:
    """One open input port, named or virtual, that hands events to a sink.

    Threads: RtMidi's thread calls `sink` for every event (it must return at once, e.g. put the
    event into a queue); a poll thread notices when a named port vanishes and reopens it within a
    second of its return. `connected` may be read from anywhere.
    """

    def __init__(self, sink: Sink, port: str | None = None, api: str | None = None) -> None:
        """Opens a port.

        Args:
            sink: takes each event, in RtMidi's thread.
            port: a part of the port's name in upper or lower case; None makes a virtual port
                "LMDM Live" that other programs connect to (the first port where there are none).
            api: "alsa", "jack", "coremidi" or "winmm"; None takes the best one that works, and for
                a named port the first one that has it.
        Raises: InputError, one sentence.
        """
        self._sink = sink
        self._wanted = port
        self._client: Any = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.connected = False
        self.port_name = ""
        if api is not None and api not in _APIS:
            raise InputError(f"no MIDI API {api!r}: choose one of {', '.join(_APIS)}")
        self._apis = [api] if api else available_apis()
        if not any(self._open(each) for each in self._apis):
            raise InputError(self._complaint())
        self._poll = threading.Thread(target=self._watch, name="midi watch", daemon=True)
        self._poll.start()

    def _complaint(self) -> str:
        if not self._apis or all(_client(api) is None for api in self._apis):
            wanted = " or ".join(self._apis) or "ALSA sequencer, JACK server"
            return f"no MIDI input: this machine has no {wanted} running"
        names = "; ".join(each.name for api in self._apis for each in list_ports(api))
        return f"no MIDI port {self._wanted!r}: choose one of {names or 'none (no port is there)'}"

    def _open(self, api: str) -> bool:
        client = _client(api)
        if client is None:
            return False
        names = client.get_ports()
        index = _find(self._wanted, names)
        try:
            if self._wanted is None and api != "winmm":
                client.open_virtual_port("in")
                self.port_name = f"{CLIENT_NAME}:in"
            elif index is not None:
                client.open_port(index, "in")
                self.port_name = names[index]
            else:
                client.delete()
                return False
        except _rtmidi().RtMidiError:
            client.delete()
            return False
        client.ignore_types(sysex=True, timing=False, active_sense=True)
        client.set_callback(self._arrived)
        self._client, self._api, self.connected = client, api, True
        return True

    def _arrived(self, message: tuple[list[int], float], _: object) -> None:
        now = time.perf_counter()
        for event in parse(bytes(message[0]), now):
            self._sink(event)

    def _watch(self) -> None:
        while not self._closing.wait(_POLL_SECONDS):
            if self._wanted is None:
                continue
            present = any(each.name == self.port_name for each in list_ports(self._api))
            with self._lock:
                if self.connected and not present:
                    self._drop()
                elif not self.connected and not self._closing.is_set():
                    any(self._open(api) for api in self._apis)

    def _drop(self) -> None:
        self.connected = False
        if self._client is not None:
            self._client.cancel_callback()
            self._client.close_port()
            self._client.delete()
            self._client = None

    def close(self) -> None:
        """Closes the port; no event arrives after that."""
        self._closing.set()
        with self._lock:
            self._drop()
        self._poll.join()


def _find(wanted: str | None, names: list[str]) -> int | None:
    """Index of the port meant: the exact name before a part of one."""
    if wanted is None:
        return 0 if names else None
    folded = [name.casefold() for name in names]
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold())
    return next((i for i, name in enumerate(folded) if wanted.casefold() in name), None)


def _client(api: str) -> Any:
    """A fresh RtMidi input of that API, or None if the API does not work here."""
    if not _may_work(api):
        return None
    try:
        return _rtmidi().MidiIn(_APIS[api], name=CLIENT_NAME)
    except _rtmidi().RtMidiError:
        return None


def _rtmidi() -> Any:
    try:
        import rtmidi  # a compiled module that may be missing
    except ImportError:
        raise InputError(
            "no MIDI: the package python-rtmidi is missing; run `pip install python-rtmidi`"
        ) from None
    return rtmidi
