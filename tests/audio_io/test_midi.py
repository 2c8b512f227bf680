"""Opening MIDI ports where there is nothing to open, and choosing by name."""

from __future__ import annotations

import pytest

from audio_io import midi_ports
from audio_io.midi import MidiInput
from audio_io.midi_ports import list_ports
from lmdm.errors import InputError


def test_nothing_running_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And the drivers, which like to print, are not even tried."""
    monkeypatch.setattr(midi_ports, "may_work", lambda api: False)
    assert list_ports() == []
    with pytest.raises(InputError, match=r"no MIDI input: this machine has no .* running"):
        MidiInput(print)
    assert capfd.readouterr() == ("", "")


def test_unknown_api_is_named() -> None:
    with pytest.raises(InputError, match="no MIDI API 'oss': choose one of coremidi"):
        MidiInput(print, api="oss")


@pytest.mark.parametrize(
    ("wanted", "index"), [("Keys", 1), ("keys 2", 0), ("pad", 2), ("theremin", None), (None, 0)]
)
def test_exact_name_before_part(wanted: str | None, index: int | None) -> None:
    assert midi_ports.find_port(wanted, ["KEYS 2", "keys", "LaunchPad X"]) == index
