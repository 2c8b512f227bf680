"""Every control sends the message it names, and shows what the engine reports without sending."""

from __future__ import annotations

import math

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget

from lmdm.live import messages as m
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    AllNotesOff,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    ResetContext,
    SetBeat,
    SetChord,
    SetDrums,
    SetGain,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetPad,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
    StartRecording,
    StopRecording,
    Sustain,
)
from ui import controls
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
        (window.macros.chance.forget, ResetContext()),
        (window.macros.shape.drums.buttons["On"], SetDrums(True)),
        (window.macros.shape.drums.buttons["Off"], SetDrums(False)),
        (window.macros.shape.drums.buttons["Auto"], SetDrums(None)),
        (window.macros.shape.notes.buttons["Follow"], SetNotesMode("follow")),
        (window.macros.shape.notes.buttons["Free"], SetNotesMode("free")),
        (window.macros.shape.bass_mute, m.SetBassMute(True)),
        (window.macros.shape.bass_and_drums, m.SetBassAndDrumsOnly(True)),
        (window.macros.jam.mode.buttons["Delay"], m.SetJamMode("delay")),
        (window.macros.memory.freeze.buttons["2"], m.SetFreeze(2.0)),
        (window.macros.memory.freeze.buttons["Off"], m.SetFreeze(None)),
        (window.macros.memory.section.buttons["B"], m.SetSection("B")),
        (window.macros.memory.from_bars, m.PrimeFromBars(4)),
        (window.macros.chance.mode.buttons["Drift"], m.SetSeedMode("drift")),
        (window.macros.chance.governor, m.SetGovernor(False)),
        (window.macros.tone.fade, m.FadeOut(5.0)),
        (window.transport.play, m.Pause()),
        (window.transport.play, m.Play()),
        (window.transport.stop, m.Stop()),
        (window.transport.tap_button, m.Tap()),
        (window.scenes.quantise.buttons["bar"], m.SetQuantise("bar")),
        (window.ground.blend_mode.buttons["Slerp"], m.SetBlendMode("slerp")),
        (window.key_row.sustain, Sustain(True)),
        (window.key_row.lift, AllNotesOff()),
        (window.key_row.chord[0], SetChord((0,))),
        (window.key_row.chord[7], SetChord((0, 7))),
        (window.key_row.chord_auto, SetChord(None)),
    ):
        qtbot.mouseClick(button, LEFT)
        assert panel.took() == [message]


def notch(dial: QWidget) -> None:
    """One notch of the wheel, upwards."""
    event = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(dial, event)


def test_dials_send_by_key_wheel_drag_and_double_click(panel, qtbot):
    shape, chance = panel.window.macros.shape, panel.window.macros.chance
    panel.show(guidance=1.0, steps=4)
    qtbot.keyClick(shape.guidance, Qt.Key.Key_Up)
    assert panel.took() == [SetGuidance(1.1)]
    notch(chance.steps)
    assert panel.took() == [SetSteps(5)]
    qtbot.mousePress(shape.guidance, LEFT, pos=QPoint(30, 60))
    qtbot.mouseMove(shape.guidance, QPoint(30, 20))
    qtbot.mouseRelease(shape.guidance, LEFT, pos=QPoint(30, 20))
    (message,) = panel.took()
    assert isinstance(message, SetGuidance)
    assert message.scale > 1.1
    qtbot.mouseDClick(shape.guidance, LEFT)
    assert panel.took() == [SetGuidance(shape.guidance.usual)]


def test_a_dial_the_model_can_decide_goes_back_to_it(panel, qtbot):
    loudness = panel.window.macros.shape.loudness
    panel.show(loudness_db=None)
    assert loudness.number is None
    notch(loudness)
    assert panel.took() == [SetLoudness(-17.0)]
    qtbot.keyClick(loudness, Qt.Key.Key_Delete)
    assert panel.took() == [SetLoudness(None)]
    qtbot.keyClick(loudness, Qt.Key.Key_Delete)
    assert panel.took() == []  # it is there already


@pytest.mark.parametrize("control", controls.DIALS, ids=lambda control: control.name)
def test_every_dial_shows_what_it_sends(panel, qtbot, control):
    """One step up, and the engine's echo of it leaves the dial where it is."""
    dial = controls.dial_for(panel.stage, control)
    qtbot.addWidget(dial)
    dial.resize(100, 100)
    usual = control.from_dial(control.usual)
    panel.show(**{control.field: usual})
    dial._place(dial.value() - 1 if dial.value() == dial.maximum() else dial.value() + 1)
    (message,) = panel.took()
    assert isinstance(message, control.message)
    value = next(iter(vars(message).values()))
    assert value != usual
    before = dial.number
    panel.show(**{control.field: value})
    assert dial.number == pytest.approx(before, abs=control.step / 2)
    assert panel.took() == []
    assert control.words(before)


def test_a_dial_goes_back_to_what_the_instrument_starts_with():
    start = {name: value for name, value in vars(Controls()).items() if value is not None}
    kept = [control for control in controls.DIALS if control.field in start]
    assert {control.name for control in kept} >= {"Guidance", "Delay", "Recall", "Transform"}
    for control in kept:
        assert control.from_dial(control.usual) == pytest.approx(start[control.field]), control.name


def test_gain_tempo_and_seed_send(panel, qtbot):
    window = panel.window
    qtbot.keyClick(window.output.gain, Qt.Key.Key_Down)
    assert panel.took() == [SetGain(-0.5)]
    window.transport.tempo.setValue(98.5)
    assert panel.took() == [SetTempo(98.5)]
    window.macros.chance.seed.setValue(7)
    assert panel.took() == [SetSeed(7)]
    window.macros.chance.dice.click()
    (message,) = panel.took()
    assert isinstance(message, SetSeed)


def test_a_clock_from_elsewhere_shuts_tap_and_tempo(panel):
    panel.show(clock_source="midi", bpm=133.0)
    transport = panel.window.transport
    assert transport.tempo.isReadOnly()
    assert transport.tempo.value() == 133.0
    assert not transport.tap_button.isEnabled()
    panel.show(clock_source="internal")
    assert transport.tap_button.isEnabled()


def test_pickers_send_what_is_picked(panel):
    window = panel.window
    for picker, index, message in (
        (window.transport.source, 1, m.SetClockSource("midi")),
        (window.macros.shape.key, 1, m.SetKey((0, "major"))),
        (window.macros.shape.key, 0, m.SetKey(None)),
        (window.prompts.extras.glide, 3, m.SetGlide(4.0)),
    ):
        picker.activated.emit(index)
        assert panel.took() == [message]


def test_undo_redo_and_back_a_bar(panel, qtbot):
    safety = panel.window.safety
    panel.show(undoable=False, redoable=False, undoable_bars=0)
    assert not safety.undo.isEnabled()
    panel.show(undoable=True, redoable=True, undoable_bars=3)
    safety.undo.click()
    safety.redo.click()
    safety.rewind.click()
    assert panel.took() == [m.UndoChange(), m.RedoChange(), m.UndoBars(1)]
    qtbot.keyClick(panel.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert panel.took() == [m.UndoChange()]


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
    assert panel.took() == [m.SetBlend(None), SetPrompts((("felt piano", 1.0), ("strings", 0.51)))]


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


def test_a_weight_leaves_the_pad(panel, qtbot):
    panel.show(pad=(0.5, 0.5))
    qtbot.keyClick(panel.window.prompts.pads[1].weight, Qt.Key.Key_Right)
    assert panel.took()[0] == SetPad(None)


def test_what_to_avoid_is_sent_once(panel, qtbot):
    avoid = panel.window.prompts.extras.avoid
    avoid.setFocus()
    qtbot.keyClicks(avoid, "drums")
    qtbot.keyClick(avoid, Qt.Key.Key_Return)
    assert panel.took() == [m.SetNegativePrompt("drums")]


def test_two_prompts_lie_on_a_line(panel, qtbot):
    surface = panel.window.blend
    surface.go(0.25, 0.9)
    assert panel.took() == [SetPad((0.25, 0.5))]
    qtbot.keyClick(surface, Qt.Key.Key_Right)
    assert panel.took() == [SetPad((0.29, 0.5))]


def test_more_prompts_lie_on_a_surface(panel, qtbot):
    texts = ("a", "b", "c", "d")
    panel.show(prompts=tuple((text, 1.0) for text in texts))
    surface = panel.window.blend
    assert surface.point == pytest.approx((0.5, 0.5))
    surface.go(1.7, -3.0)
    assert panel.took() == [SetPad((1.0, 0.0))]
    panel.show(pad=(1.0, 0.0))
    assert [pad.share.text() for pad in panel.window.prompts.pads] == ["0 %", "100 %", "0 %", "0 %"]
    middle = QPoint(surface.width() // 2, surface.height() // 2)
    qtbot.mousePress(surface, LEFT, pos=middle)
    qtbot.mouseRelease(surface, LEFT, pos=middle)
    (message,) = panel.took()
    assert message.position == pytest.approx((0.5, 0.5), abs=0.02)


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
