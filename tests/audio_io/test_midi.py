"""Opening MIDI ports where there is nothing to open, and choosing by name."""

from __future__ import annotations

import pytest

from audio_io import midi_ports
from audio_io.midi_ports import (
    MidiPort,
    available_apis,
    device_name,
    devices_among,
    is_hardware,
    list_ports,
)


def test_nothing_running_is_nothing_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The drivers, which like to print, are not even tried."""
    monkeypatch.setattr(midi_ports, "may_work", lambda api: False)
    assert list_ports() == []
    assert available_apis() == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("port", "hardware", "device"),
    [
        (MidiPort("alsa", "nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0"), True, "nanoKONTROL2 MIDI 1"),
        (MidiPort("alsa", "Midi Through:Midi Through Port-0 14:0"), False, "Midi Through Port-0"),
        (MidiPort("alsa", "FLUID Synth:synth 128:0"), False, "FLUID Synth:synth"),
        (MidiPort("jack", "system:midi_capture_1"), True, "system:midi_capture_1"),
        (MidiPort("jack", "keys:out"), False, "keys:out"),
        (MidiPort("jack", "a2j:LPD8 [20] (capture): LPD8 MIDI 1"), True, "LPD8 MIDI 1"),
        (MidiPort("coremidi", "LPD8"), True, "LPD8"),
    ],
)
def test_devices_are_told_from_programs(port: MidiPort, hardware: bool, device: str) -> None:
    assert is_hardware(port) == hardware
    assert device_name(port) == device


def test_a_device_is_opened_once_though_two_drivers_show_it() -> None:
    alsa = MidiPort("alsa", "LPD8:LPD8 MIDI 1 20:0")
    jack = [MidiPort("jack", "a2j:LPD8 [20] (capture): LPD8 MIDI 1"), MidiPort("jack", "keys:out")]
    assert devices_among([alsa, *jack]) == [alsa]
    assert devices_among(jack) == jack[:1]
    assert devices_among([]) == []


@pytest.mark.parametrize(
    ("wanted", "index"), [("Keys", 1), ("keys 2", 0), ("pad", 2), ("theremin", None), (None, 0)]
)
def test_exact_name_before_part(wanted: str | None, index: int | None) -> None:
    assert midi_ports.find_port(wanted, ["KEYS 2", "keys", "LaunchPad X"]) == index
