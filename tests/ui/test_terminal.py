"""The terminal view: what keys send, and what is shown where."""

import io

import pytest

from lmdm.live.messages import (
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    SetBlend,
    SetGuidance,
    Snapshot,
)
from ui.terminal import LINE_SECONDS, NOTE_KEYS, NOTE_SECONDS, TerminalView, status_line

PLAYING = Snapshot(status="playing", text="playing", guidance=2.0, bpm=120.0)


class Stage:
    def __init__(self):
        self.now, self.sent, self.snapshot = 0.0, [], PLAYING
        self.output = io.StringIO()
        self.view = TerminalView(
            self.sent.append, lambda: self.snapshot, output=self.output, clock=lambda: self.now
        )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (" ", Mute(True)),
        ("p", Panic()),
        ("q", Quit()),
        ("+", SetGuidance(2.25)),
        ("-", SetGuidance(1.75)),
        ("]", SetBlend(0.05)),
        ("[", SetBlend(0.0)),
        ("a", NoteOn(60)),
        ("K", NoteOn(72)),
    ],
)
def test_keys(key, message):
    stage = Stage()
    stage.view.press(key, PLAYING)
    assert stage.sent == [message]


def test_no_key_has_two_meanings():
    assert not set(NOTE_KEYS) & set(" pq+-=[]")
    stage = Stage()
    stage.view.press("x", PLAYING)
    stage.view.press("\x1b", PLAYING)
    assert stage.sent == []


def test_bounds_are_kept():
    stage = Stage()
    stage.view.press("+", Snapshot(guidance=20.0))
    stage.view.press("-", Snapshot(guidance=0.0))
    stage.view.press("]", Snapshot(blend=1.0))
    assert stage.sent == [SetGuidance(20.0), SetGuidance(0.0), SetBlend(1.0)]


def test_every_note_ends():
    stage = Stage()
    with stage.view:
        stage.view.press("a", PLAYING)
        stage.now += NOTE_SECONDS / 2
        stage.view.press("a", PLAYING)  # held: the terminal repeats the key
        stage.now += NOTE_SECONDS * 0.9
        stage.view.refresh()
        assert stage.sent == [NoteOn(60), NoteOn(60)]
        stage.now += NOTE_SECONDS
        stage.view.refresh()
    assert stage.sent[-1] == NoteOff(60)


def test_into_a_file_it_writes_a_line_now_and_then():
    stage = Stage()
    with stage.view:
        for _ in range(100):
            stage.view.refresh()
            stage.now += LINE_SECONDS / 20
        stage.snapshot = Snapshot(status="restarting", text="the engine ended (signal 9)")
        stage.view.refresh()
    lines = stage.output.getvalue().splitlines()
    assert len(lines) == 6
    assert "\x1b" not in stage.output.getvalue()
    assert "signal 9" in lines[-1]


def test_the_line_says_what_matters():
    line = status_line(
        Snapshot(
            status="playing", heard=44100 * 75, heard_beat=9.5, muted=True, underruns=2,
            real_time_factor=0.34, held=(60, 64), blend=0.5, recording="t",
        )
    )  # fmt: skip
    for words in ("muted", "1:15", "bar 3.2", "load 34%", "underruns 2", "60 64", "recording"):
        assert words in line
    assert status_line(Snapshot(status="failed", text="why")) == "failed: why"
