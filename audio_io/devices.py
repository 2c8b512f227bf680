"""Which sound devices there are, and finding one by what the user calls it.

Functions that touch PortAudio run in a process of the device's own (see `device_process`); the rest
of the program asks `hosted.list_devices`.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from lmdm.errors import InputError

Kind = Literal["input", "output"]
NO_PORTAUDIO = "the PortAudio library is missing"
OWN_NAME = "LMDM Live audio"  # with which our clients on a JACK server begin
_kept: list[ctypes.c_char_p] = []  # PortAudio keeps a pointer to the name


@dataclass(frozen=True)
class AudioDevice:
    """One device as PortAudio sees it."""

    index: int
    name: str
    host: str  # e.g. "ALSA", "JACK Audio Connection Kit", "Core Audio"
    input_channels: int
    output_channels: int
    rate: int  # default samples a second
    default_input: bool
    default_output: bool

    def channels(self, kind: Kind) -> int:
        """How many channels the device has in that direction."""
        return self.input_channels if kind == "input" else self.output_channels


def name_jack_client(what: str) -> None:
    """What this process is called on a JACK server; to be said before `sounddevice` is imported.

    PortAudio's own name for every program is "PortAudio".
    """
    _kept.append(ctypes.c_char_p(f"{OWN_NAME} {what}".encode()))
    with contextlib.suppress(OSError, AttributeError):  # only Linux' library knows JACK
        ctypes.CDLL("libportaudio.so.2").PaJack_SetClientName(_kept[-1])


def sounddevice_module() -> ModuleType:
    """The `sounddevice` module; InputError in one sentence if PortAudio is not there."""
    try:
        import sounddevice  # loads PortAudio, which may be missing
    except (ImportError, OSError):
        raise InputError(
            f"no sound: {NO_PORTAUDIO}; install it with "
            "`sudo apt install libportaudio2` (macOS and Windows: `pip install sounddevice`)"
        ) from None
    return sounddevice


def rtmixer_module() -> ModuleType:
    """The `rtmixer` module, on top of `sounddevice_module`."""
    sounddevice_module()
    try:
        import rtmixer  # imports sounddevice
    except (ImportError, OSError):
        raise InputError(
            "no sound: the package rtmixer is missing; run `pip install rtmixer`"
        ) from None
    return rtmixer


def portaudio_devices() -> list[AudioDevice]:
    """All devices but ourselves, as of when PortAudio was started in this process."""
    sounddevice = sounddevice_module()
    hosts = sounddevice.query_hostapis()
    default_host = hosts[sounddevice.default.hostapi] if hosts else None
    default_input = _default(sounddevice, default_host, "input")
    default_output = _default(sounddevice, default_host, "output")
    return [
        AudioDevice(
            index=index,
            name=str(each["name"]),
            host=str(hosts[each["hostapi"]]["name"]),
            input_channels=int(each["max_input_channels"]),
            output_channels=int(each["max_output_channels"]),
            rate=int(each["default_samplerate"]),
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, each in enumerate(sounddevice.query_devices())
        if not each["name"].startswith(OWN_NAME)
    ]


def _default(sounddevice: ModuleType, host: dict[str, object] | None, kind: Kind) -> int:
    """Index of the default device: PortAudio's, or else any other host's."""
    chosen = host[f"default_{kind}_device"] if host else -1
    if isinstance(chosen, int) and chosen >= 0:
        return chosen
    for each in sounddevice.query_hostapis():
        if each[f"default_{kind}_device"] >= 0:
            return int(each[f"default_{kind}_device"])
    return -1


def restart_portaudio() -> None:
    """Lets PortAudio see plugged and unplugged devices; kills every stream of this process."""
    sounddevice = sounddevice_module()
    sounddevice._terminate()
    sounddevice._initialize()


def choose_device(wanted: str | int | None, kind: Kind, devices: list[AudioDevice]) -> AudioDevice:
    """The device that `wanted` means.

    Args:
        wanted: None for the default; an index; or a name: the whole name of a device, a part of
            it, or of its host ("jack"), in upper or lower case.
        kind: the direction it must be able to do.
        devices: what there is.
    Raises: InputError, one sentence that lists what there is.
    """
    usable = [each for each in devices if each.channels(kind) > 0]
    if not usable:
        raise InputError(f"this machine has no audio {kind} device")
    if wanted is None:
        defaults = [e for e in usable if (e.default_input if kind == "input" else e.default_output)]
        return (defaults or usable)[0]
    if isinstance(wanted, int) or wanted.isdecimal():
        matches = [each for each in usable if each.index == int(wanted)]
    else:
        matches = _by_name(wanted.casefold(), usable)
    if not matches:
        raise InputError(f"no audio {kind} device {wanted!r}: choose one of {_names(usable)}")
    if len({each.name for each in matches}) > 1:
        raise InputError(
            f"{wanted!r} means several audio {kind} devices: choose one of {_names(matches)}"
        )
    return matches[0]  # one name under several hosts: PortAudio lists the preferred host first


def _by_name(wanted: str, devices: list[AudioDevice]) -> list[AudioDevice]:
    exact = [each for each in devices if each.name.casefold() == wanted]
    partial = [each for each in devices if wanted in each.name.casefold()]
    host = [each for each in devices if wanted in each.host.casefold()]
    preferred = [each for each in host if each.default_input or each.default_output]
    return exact or partial or preferred or host[:1]


def _names(devices: list[AudioDevice]) -> str:
    return "; ".join(f"{each.index} {each.name} ({each.host})" for each in devices)
