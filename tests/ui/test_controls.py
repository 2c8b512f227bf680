"""Every control sends the message it names, and shows what the engine reports without sending."""

from __future__ import annotations

import math

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from lmdm.live.messages import (
    AllNotesOff,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    ResetContext,
    SetBeat,
    SetBlend,
    SetChord,
    SetDrums,
    SetGain,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
    StartRecording,
    StopRecording,
    Sustain,
)
from ui.prompts import MOST

LEFT = Qt.MouseButton.LeftButton


def test_buttons_send_what_they_say(panel, qtbot):
    window = panel.window
    for button, message in (
        (window.safety.record, StartRecording()),
        (window.safety.record, StopRecording()),
        (window.safety.mute, Mute(True)),
        (window.safety.mute, Mute(False)),
        (window.safety.panic, Panic()),
        (window.transport.downbeat, SetBeat(0.0)),
        (window.macros.forget, ResetContext()),
        (window.macros.drums.buttons["On"], SetDrums(True)),
        (window.macros.drums.buttons["Off"], SetDrums(False)),
        (window.macros.drums.buttons["Auto"], SetDrums(None)),
        (window.macros.notes.buttons["Follow"], SetNotesMode("follow")),
        (window.macros.notes.buttons["Free"], SetNotesMode("free")),
        (window.macros.loudness_by.buttons["By dial"], SetLoudness(-18.0)),
        (window.macros.loudness_by.buttons["Auto"], SetLoudness(None)),
        (window.key_row.sustain, Sustain(True)),
        (window.key_row.lift, AllNotesOff()),
        (window.key_row.chord[0], SetChord((0,))),
        (window.key_row.chord[7], SetChord((0, 7))),
        (window.key_row.chord_auto, SetChord(None)),
    ):
        qtbot.mouseClick(button, LEFT)
        assert panel.took() == [message]


def test_dials_send_by_key_wheel_drag_and_double_click(panel, qtbot):
    macros = panel.window.macros
    qtbot.keyClick(macros.guidance, Qt.Key.Key_Up)
    assert panel.took() == [SetGuidance(1.1)]
    for dial, message in ((macros.steps, SetSteps(5)), (macros.loudness, SetLoudness(-17.0))):
        notch = QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(dial, notch)
        assert panel.took() == [message]
    qtbot.mousePress(macros.guidance, LEFT, pos=QPoint(30, 60))
    qtbot.mouseMove(macros.guidance, QPoint(30, 20))
    qtbot.mouseRelease(macros.guidance, LEFT, pos=QPoint(30, 20))
    (message,) = panel.took()
    assert isinstance(message, SetGuidance)
    assert message.scale > 1.1
    qtbot.mouseDClick(macros.guidance, LEFT)
    assert panel.took() == [SetGuidance(macros.guidance.usual)]


def test_gain_tempo_and_seed_send(panel, qtbot):
    window = panel.window
    qtbot.keyClick(window.output.gain, Qt.Key.Key_Down)
    assert panel.took() == [SetGain(-0.5)]
    window.transport.tempo.setValue(98.5)
    assert panel.took() == [SetTempo(98.5)]
    window.macros.seed.setValue(7)
    assert panel.took() == [SetSeed(7)]
    qtbot.mouseClick(window.macros.dice, LEFT)
    (message,) = panel.took()
    assert isinstance(message, SetSeed)


def test_taps_set_the_tempo(panel):
    transport = panel.window.transport
    transport._clock = lambda: panel.now
    for _ in range(4):
        transport.tap()
        panel.now += 0.625
    sent = panel.took()
    assert set(sent) == {SetTempo(96.0)}
    assert transport.tempo.value() == 96.0


def test_typing_a_prompt_sends_it_once_with_enter(panel, qtbot):
    pad = panel.window.prompts.pads[0]
    pad.text.setFocus()
    pad.text.selectAll()
    qtbot.keyClicks(pad.text, "sad waltz")
    assert panel.took() == []  # the letters are words now, not notes
    qtbot.keyClick(pad.text, Qt.Key.Key_Return)
    assert panel.took() == [SetPrompts((("sad waltz", 1.0), ("strings", 0.5)))]
    assert panel.window.keys.hasFocus()


def test_escape_drops_what_was_typed(panel, qtbot):
    pad = panel.window.prompts.pads[0]
    pad.text.setFocus()
    qtbot.keyClicks(pad.text, "zzz")
    qtbot.keyClick(pad.text, Qt.Key.Key_Escape)
    assert pad.text.text() == "felt piano"
    assert panel.took() == []


def test_words_being_typed_survive_a_change_from_elsewhere(panel, qtbot):
    pad = panel.window.prompts.pads[0]
    pad.text.setFocus()
    pad.text.end(False)
    qtbot.keyClicks(pad.text, " and")
    panel.show(prompts=(("another scene", 1.0),))
    assert pad.text.text() == "felt piano and"


def test_weights_send_and_end_a_crossfade(panel, qtbot):
    panel.show(blend=0.5)
    qtbot.keyClick(panel.window.prompts.pads[1].weight, Qt.Key.Key_Right)
    assert panel.took() == [SetBlend(None), SetPrompts((("felt piano", 1.0), ("strings", 0.51)))]


def test_prompts_are_added_and_removed_between_two_and_six(panel, qtbot):
    pads = panel.window.prompts
    for count in range(3, MOST + 1):
        pads.add.click()
        assert len(pads.pads) == count
    assert not pads.add.isVisible()
    assert panel.took() == []  # pads without words say nothing
    pads.pads[2].text.setText("bells")
    pads.pads[2].text.editingFinished.emit()
    assert panel.took() == [SetPrompts((("felt piano", 1.0), ("strings", 0.5), ("bells", 1.0)))]
    pads.pads[0].remove.click()
    assert panel.took() == [SetPrompts((("strings", 0.5), ("bells", 1.0)))]
    while len(pads.pads) > 2:
        pads.pads[-1].remove.click()
    assert not pads.pads[0].remove.isVisible()


def test_two_prompts_are_crossfaded(panel, qtbot):
    surface = panel.window.blend
    surface.go(0.25, 0.9)
    assert panel.took() == [SetBlend(0.25)]
    qtbot.keyClick(surface, Qt.Key.Key_Right)
    assert panel.took() == [SetBlend(0.29)]


def test_more_prompts_are_weighed_by_the_surface(panel, qtbot):
    texts = ("a", "b", "c", "d")
    panel.show(prompts=tuple((text, 1.0) for text in texts))
    surface = panel.window.blend
    assert surface.point == pytest.approx((0.5, 0.5))
    surface.go(1.0, 0.0)
    (message,) = panel.took()
    assert message.prompts == (("a", 0.0), ("b", 1.0), ("c", 0.0), ("d", 0.0))
    middle = QPoint(surface.width() // 2, surface.height() // 2)
    qtbot.mousePress(surface, LEFT, pos=middle)
    qtbot.mouseRelease(surface, LEFT, pos=middle)
    (message,) = panel.took()
    assert [weight for _, weight in message.prompts] == pytest.approx([0.25] * 4, abs=0.02)


def test_mouse_plays_slides_and_lets_go(panel, qtbot):
    keys = panel.window.keys

    def place(pitch: int) -> QPoint:
        box = keys.key_box(pitch)
        return QPoint(math.floor(box.center().x()), math.floor(box.bottom() - 4))

    qtbot.mousePress(keys, LEFT, pos=place(60))
    (message,) = panel.took()
    assert isinstance(message, NoteOn)
    assert (message.pitch, message.velocity > 110) == (60, True)
    box = keys.key_box(61)
    found = keys.key_at(box.center().x(), box.top() + 2)
    assert found is not None
    assert found[0] == 61
    assert found[1] < 50  # the back of a key is soft
    qtbot.mouseRelease(keys, LEFT, pos=place(60))
    assert panel.took() == [NoteOff(60)]


def test_shortcuts_reach_safety_from_anywhere(panel, qtbot):
    control = Qt.KeyboardModifier.ControlModifier
    panel.window.prompts.pads[0].text.setFocus()
    for key, message in (
        (Qt.Key.Key_M, Mute(True)),
        (Qt.Key.Key_R, StartRecording()),
        (Qt.Key.Key_Period, Panic()),
    ):
        qtbot.keyClick(panel.window, key, control)
        assert panel.took() == [message]


def test_showing_a_snapshot_sends_nothing(panel):
    panel.show(
        prompts=(("x", 0.2), ("y", 0.7), ("z", 0.1)),
        guidance=4.4,
        steps=11,
        bpm=81.0,
        drums=True,
        chord=(2, 9),
        loudness_db=-31.0,
        notes_mode="free",
        seed=12345,
        gain_db=-7.5,
        muted=True,
        sustain=True,
        recording="takes/1",
    )
    assert panel.took() == []


def test_closing_lets_go_and_quits(panel, qtbot):
    qtbot.keyPress(panel.window.keys, Qt.Key.Key_A)
    panel.window.close()
    panel.window.close()
    assert panel.sent == [NoteOn(60, 100), NoteOff(60), Quit()]
