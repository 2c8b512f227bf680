"""The terminal view: what keys send, and what is shown where."""

import io
from dataclasses import replace

import pytest

from lmdm.errors import InputError
from lmdm.live.messages import (
    MESSAGES,
    BeginLearn,
    CancelLearn,
    Memorization,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Pause,
    Quit,
    RecallSceneNumber,
    RedoChange,
    SetBlend,
    SetDensity,
    SetFreeze,
    SetGuidance,
    SetPrompts,
    SetTempo,
    Snapshot,
    StartRecording,
    StoreScene,
    Tap,
    UndoChange,
)
from lmdm.live.targets import NAMED, target_kinds
from ui.terminal import (
    LINE_SECONDS,
    NOTE_KEYS,
    NOTE_SECONDS,
    TerminalView,
    choices,
    chosen_words,
    status_line,
)
from ui.terminal_keys import keys_of

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
        ("\r", Pause()),
        ("r", StartRecording()),
        ("v", SetFreeze(1.0)),
        (".", SetTempo(121.0)),
        (",", SetTempo(119.0)),
        ("b", Tap()),
        ("3", RecallSceneNumber(2)),
        ("n", StoreScene("scene 1")),
        ("z", UndoChange()),
        ("c", RedoChange()),
    ],
)
def test_keys(key, message):
    stage = Stage()
    stage.view.press(key, PLAYING)
    assert stage.sent == [message]


def test_no_key_has_two_meanings():
    others = set(" pq+-=[],.brvnzcl:?123456789\r\n")
    assert not set(NOTE_KEYS) & others
    stage = Stage()
    stage.view.press("x", PLAYING)
    stage.view.press("\x1b", PLAYING)
    assert stage.sent == []


def test_every_control_can_be_reached_with_the_arrows():
    stage, reached = Stage(), set()
    snapshot = replace(PLAYING, prompts=(("piano", 1.0),) * 4, pad=(0.5, 0.5), text="")
    for _ in choices():
        stage.view.press("down", snapshot)
        stage.view.press("right", snapshot)
        reached.add(type(stage.sent[-1]))
    kinds = {kind for kind in target_kinds() if kind not in NAMED}
    assert reached >= {MESSAGES[kind] for kind in kinds}


def test_arrows_move_the_chosen_control_and_l_learns_it():
    stage = Stage()
    stage.view.press("l", PLAYING)
    assert stage.sent == []
    while stage.view._chosen is None or choices()[stage.view._chosen].name != "set_density":
        stage.view.press("up", PLAYING)
    stage.view.press("right", replace(PLAYING, density=0.5))
    stage.view.press("left", replace(PLAYING, density=0.5))
    stage.view.press("left", replace(PLAYING, density=0.0))
    assert stage.sent == [SetDensity(0.55), SetDensity(0.45), SetDensity(0.0)]
    stage.view.press("l", PLAYING)
    stage.view.press("l", replace(PLAYING, learning="set_density"))
    assert stage.sent[-2:] == [BeginLearn("set_density"), CancelLearn()]
    assert "density [#####.....]" in chosen_words(
        choices()[stage.view._chosen], replace(PLAYING, density=0.5)
    )


def test_messages_can_be_typed_and_mistakes_are_told():
    stage = Stage()
    for key in ':set_prompts "felt piano" 1 xx\x7f\x7fchoir 0.5\r':
        stage.view.press(key, PLAYING)
    assert stage.sent == [SetPrompts((("felt piano", 1.0), ("choir", 0.5)))]
    for key in ":warp\r":
        stage.view.press(key, PLAYING)
    stage.view.refresh()
    assert "there is no control 'warp'" in stage.output.getvalue()
    for key in ":quit\x1ba":
        stage.view.press(key, PLAYING)
    assert stage.sent[-1] == NoteOn(60)


def test_a_message_that_cannot_be_done_is_told_and_ends_nothing():
    def refuse(message):
        raise InputError("there is no scene 9")

    stage = Stage()
    stage.view = TerminalView(refuse, lambda: PLAYING, output=stage.output, clock=lambda: 0.0)
    stage.view.press("9", PLAYING)
    stage.view.refresh()
    assert "there is no scene 9" in stage.output.getvalue()


def test_keys_from_a_terminal():
    assert keys_of("a\x1b[A\x1b[B\x1bOC\x1b[D") == ["a", "up", "down", "right", "left"]
    assert keys_of("\x1b[15~\x1b[1;5Pq") == ["q"]
    assert keys_of("\xe0H\x00Kx") == ["up", "left", "x"]
    assert keys_of("\x1b") == ["\x1b"]


def test_help_names_every_key():
    stage = Stage()
    stage.view.press("?", PLAYING)
    shown = stage.output.getvalue()
    for key in "pqrvbnzcl?":
        assert f" {key} " in shown, key


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
    assert "memorization" not in line, "there is no light"
    near = Memorization("near", "close to a piece at 0:31", 1.2, 0.98)
    line_with_light = status_line(Snapshot(status="playing", memorization=near))
    assert "memorization light: close to a piece at 0:31" in line_with_light
    for words in ("muted", "1:15", "bar 3.2", "load 34%", "underruns 2", "60 64", "recording"):
        assert words in line
    assert status_line(Snapshot(status="failed", text="why")) == "failed: why"
