"""The scenes strip: calling, keeping, waiting, and the keys for it."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt

from lmdm.live import messages as m
from lmdm.live.messages import Waiting

LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def strip(panel):
    panel.show(scenes=("Dawn", "Walk", "Rain"), scene="Dawn")
    return panel.window.scenes


def test_scenes_are_shown_and_called(panel, strip, qtbot):
    assert [button.name for button in strip.buttons] == ["Dawn", "Walk", "Rain"]
    assert [button.isChecked() for button in strip.buttons] == [True, False, False]
    qtbot.mouseClick(strip.buttons[1], LEFT)
    assert panel.took() == [m.RecallScene("Walk")]
    assert not strip.buttons[1].isChecked()  # it plays when the engine says so
    panel.show(scene="Walk")
    assert [button.isChecked() for button in strip.buttons] == [False, True, False]


def test_digits_call_and_with_shift_keep(panel, strip, qtbot):
    keys = panel.window.keys
    qtbot.keyClick(keys, Qt.Key.Key_3)
    qtbot.keyClick(keys, Qt.Key.Key_7)  # there is no seventh
    qtbot.keyClick(keys, Qt.Key.Key_2, SHIFT)
    qtbot.keyClick(keys, Qt.Key.Key_At, SHIFT)  # what Shift makes of 2 on many keyboards
    qtbot.keyClick(keys, Qt.Key.Key_8, SHIFT)
    assert panel.took() == [
        m.RecallScene("Rain"), m.StoreScene("Walk"), m.StoreScene("Walk"), m.StoreScene("Scene 1"),
    ]  # fmt: skip


def test_a_scene_is_kept_under_a_name(panel, strip, qtbot):
    strip.keep.click()
    assert strip.name.isVisible()
    assert strip.name.text() == "Scene 1"
    strip.name.setText("Home")
    qtbot.keyClick(strip.name, Qt.Key.Key_Return)
    assert panel.took() == [m.StoreScene("Home")]
    assert not strip.name.isVisible()


def test_a_scene_that_waits_fills_and_is_counted_down(panel, strip):
    for beats, share in ((4.0, 0.0), (1.0, 0.75), (0.0, 1.0)):
        panel.show(waiting=(Waiting("set_controls", "Rain", "bar", beats),))
        assert strip.buttons[2].waits == share
        assert strip.countdown.words == f"Rain in {beats:.1f}"
    panel.show(waiting=())
    assert strip.buttons[2].waits is None
    assert strip.countdown.words == ""


def test_other_changes_wait_too_and_can_be_withdrawn(panel, strip):
    panel.show(waiting=(Waiting("set_prompts", "choir 1", "phrase", 7.5),))
    assert strip.countdown.words == "prompts in 7.5"
    strip.cancel.click()
    assert panel.took() == [m.CancelQuantised()]


def test_an_edit_that_waits_for_its_boundary_stays_shown(panel, strip):
    pad = panel.window.prompts.pads[0]
    pad.text.setText("choir")
    pad.text.editingFinished.emit()
    before = panel.snapshot.prompts
    for _ in range(4):  # far beyond the time an unanswered edit is shown
        panel.show(prompts=before, waiting=(Waiting("set_prompts", "choir", "phrase", 9.0),))
        assert pad.text.text() == "choir"
    panel.show(waiting=())  # withdrawn elsewhere
    assert pad.text.text() == before[0][0]


def test_a_scenes_menu_keeps_and_deletes(panel, strip):
    menu = panel.window.learn.menu(strip.buttons[1])
    entries = {action.text(): action for action in menu.actions()}
    entries["Keep the present sound here"].trigger()
    entries["Delete this scene"].trigger()
    entries["Learn a MIDI controller…"].trigger()
    assert panel.took() == [
        m.StoreScene("Walk"), m.DeleteScene("Walk"), m.BeginLearn("recall_scene:Walk"),
    ]  # fmt: skip
