"""Which MIDI ports there are, through RtMidi, asked again and again without harm."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import itertools
import os
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lmdm.errors import InputError

CLIENT_NAME = "LMDM Live"
NO_MIDI = "no MIDI: this machine has no ALSA sequencer, JACK server or other MIDI driver running"
WATCH_NAME = "LMDM Live watch"  # the client that only looks
# RtMidi's own numbers of its APIs (RtMidi.h), in order of preference.
APIS = {"coremidi": 1, "winmm": 4, "alsa": 2, "jack": 3}

Direction = Literal["input", "output"]


@dataclass(frozen=True)
class MidiPort:
    """One MIDI port of another program or device."""

    api: str
    name: str


def available_apis() -> list[str]:
    """APIs that can work here, best first; the others are not even tried, since they print."""
    compiled = rtmidi_module().get_compiled_api()
    return [api for api, number in APIS.items() if number in compiled and may_work(api)]


def may_work(api: str) -> bool:
    """Whether an API's server or driver seems to be there."""
    if not sys.platform.startswith("linux"):
        return api != "jack"
    if api == "alsa":
        return Path("/dev/snd/seq").exists()
    if api == "jack":
        server = glob.escape(os.environ.get("JACK_DEFAULT_SERVER", "default"))
        pipewire = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "pipewire-0"
        return pipewire.exists() or any(Path("/dev/shm").glob(f"jack_{server}_*"))
    return True


def list_ports(api: str | None = None, direction: Direction = "input") -> list[MidiPort]:
    """All ports that we could listen to (or send to), of one API, or of every one that works."""
    ports: list[MidiPort] = []
    for each in [api] if api else available_apis():
        lister = PortList(each, direction)
        names = lister.names()
        ports += [MidiPort(each, name) for name in names if not name.startswith(CLIENT_NAME)]
        lister.close()
    return ports


class PortList:
    """The ports of one API and direction, through a client that is kept.

    Threads: none; one thread asks.
    """

    def __init__(self, api: str, direction: Direction) -> None:
        self._api, self._direction = api, direction
        self._client: Any = None

    def names(self) -> list[str]:
        """Names of the ports there are now."""
        if self._client is None:
            self._client = open_client(self._api, self._direction, WATCH_NAME)
        try:
            names = self._client.get_ports() if self._client is not None else []
        except rtmidi_module().RtMidiError:
            names = []
        if not names and self._api != "jack":  # the next look begins anew
            self.close()
        return list(names)

    def close(self) -> None:
        """Leaves the server."""
        if self._client is not None:
            with contextlib.suppress(rtmidi_module().RtMidiError):
                self._client.delete()
            self._client = None


def devices_among(ports: list[MidiPort]) -> list[MidiPort]:
    """The ports that are devices, to be listened to unasked.

    A JACK server shows what ALSA does once more: those of the first API that has any are all.
    """
    hardware = [port for port in ports if is_hardware(port)]
    return [port for port in hardware if port.api == hardware[0].api]


def is_hardware(port: MidiPort) -> bool:
    """Whether a port is a device and not another program."""
    if port.api == "alsa":  # "name:port client:number"; the kernel's clients are below 128
        client = port.name.rpartition(" ")[2].partition(":")[0]
        return client.isdecimal() and 16 <= int(client) < 128
    if port.api == "jack":
        return port.name.startswith(("system:", "a2j:"))
    return True


def find_port(wanted: str | None, names: list[str]) -> int | None:
    """Index of the port meant: the exact name before a part of one."""
    if wanted is None:
        return 0 if names else None
    folded = [name.casefold() for name in names]
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold())
    return next((i for i, name in enumerate(folded) if wanted.casefold() in name), None)


def device_name(port: MidiPort) -> str:
    """What a device is called whatever socket it sits in: the port without changing numbers."""
    name = port.name
    if port.api == "alsa":  # "client:port 20:0"
        name = name.rpartition(" ")[0] or name
    elif bridged := _BRIDGED.fullmatch(name):
        name = f"{bridged[1]}:{bridged[2]}"
    else:
        return name
    client, colon, inner = name.partition(":")
    return inner if colon and inner.startswith(client) else name


_BRIDGED = re.compile(r"a2j:(.*) \[\d+\] \(\w+\): (.*)")  # ALSA's ports, as a2jmidid shows them


def numbered(names: list[str]) -> list[str]:
    """The names, those that were there before with a number.

    >>> numbered(["LPD8", "nanoKEY", "LPD8", "LPD8"])
    ['LPD8', 'nanoKEY', 'LPD8 2', 'LPD8 3']
    """
    told: list[str] = []
    for name in names:
        free = itertools.chain([name], (f"{name} {count}" for count in itertools.count(2)))
        told.append(next(each for each in free if each not in told))
    return told


def open_client(api: str, direction: Direction, name: str = CLIENT_NAME) -> Any:
    """A fresh RtMidi client of that API, or None if the API does not work here."""
    if not may_work(api):
        return None
    if api == "jack":
        _listen_to_jack()
    module = rtmidi_module()
    try:
        kind = module.MidiIn if direction == "input" else module.MidiOut
        return kind(APIS[api], name=name)
    except module.RtMidiError:
        return None


jack_died = threading.Event()  # set when libjack has lost its server


def _jack_error(message: bytes) -> None:
    if b"read fail" in message or b"read socket" in message:
        jack_died.set()


_TEXT_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
_HANDLERS = (_TEXT_FUNCTION(_jack_error), _TEXT_FUNCTION(lambda _: None))  # libjack keeps pointers


def _listen_to_jack() -> None:
    """Takes libjack's messages, which it would print. It says nowhere else that a server died."""
    rtmidi_module()  # brings a libjack of its own along
    with contextlib.suppress(OSError, AttributeError):
        loaded = Path("/proc/self/maps").read_text().split()
        for path in {each for each in loaded if Path(each).name.startswith("libjack")}:
            jack = ctypes.CDLL(path)
            jack.jack_set_error_function(_HANDLERS[0])
            jack.jack_set_info_function(_HANDLERS[1])


def rtmidi_module() -> Any:
    """The `rtmidi` module; InputError in one sentence if it is not there."""
    try:
        import rtmidi  # a compiled module that may be missing
    except ImportError:
        raise InputError(
            "no MIDI: the package python-rtmidi is missing; run `pip install python-rtmidi`"
        ) from None
    return rtmidi
