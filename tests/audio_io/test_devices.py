"""Devices are found by what a musician would type, and refused in one sentence."""

from __future__ import annotations

import sys

import pytest

from audio_io import devices
from audio_io.devices import AudioDevice, choose_device, sounddevice_module
from lmdm.errors import InputError

DEVICES = [
    AudioDevice(0, "Scarlett 2i2 USB", "ALSA", 2, 2, 48000, False, False),
    AudioDevice(1, "HDMI 0", "ALSA", 0, 8, 48000, False, False),
    AudioDevice(2, "USB Microphone", "ALSA", 1, 0, 44100, False, False),
    AudioDevice(3, "default", "ALSA", 32, 32, 44100, True, True),
    AudioDevice(4, "system", "JACK Audio Connection Kit", 2, 2, 48000, False, False),
    AudioDevice(5, "HDMI 0", "PulseAudio", 0, 2, 48000, False, False),
]


@pytest.mark.parametrize(
    ("wanted", "kind", "index"),
    [
        (None, "output", 3),
        (1, "output", 1),
        ("0", "output", 0),
        ("SCARLETT", "output", 0),
        ("hdmi 0", "output", 1),
        ("jack", "output", 4),
        ("usb", "output", 0),
        ("micro", "input", 2),
        ("alsa", "input", 3),
    ],
)
def test_found(wanted: str | int | None, kind: devices.Kind, index: int) -> None:
    assert choose_device(wanted, kind, DEVICES).index == index


@pytest.mark.parametrize(
    ("wanted", "kind", "message"),
    [
        ("usb", "input", "'usb' means several audio input devices: choose one of 0 Scarlett"),
        ("theremin", "output", "no audio output device 'theremin': choose one of 0 Scarlett"),
        ("hdmi", "input", "no audio input device 'hdmi'"),
        (2, "output", "no audio output device 2"),
        (99, "input", "no audio input device 99"),
    ],
)
def test_refused(wanted: str | int, kind: devices.Kind, message: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_device(wanted, kind, DEVICES)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_no_device_at_all() -> None:
    with pytest.raises(InputError, match="this machine has no audio output device"):
        choose_device(None, "output", [])


def test_missing_portaudio_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match="sudo apt install libportaudio2"):
        sounddevice_module()
