"""MIDI learn: the menu, the card beside the control, the mapping table, ghosts, tooltips."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QContextMenuEvent
from PyQt6.QtWidgets import QApplication, QFileDialog, QMenu

from lmdm.live import messages as m
from lmdm.live.messages import ControllerMapping, Latency, Snapshot
from lmdm.live.targets import target_of as real_target
from ui import ghosts as ghosts_module
from ui.hints import hint
from ui.learn import LONG_PRESS_MS, all_taught, name_of, target_of
from ui.mappings import matches
from ui.picker import Picker
from ui.sources import moved, source_words

LEFT = Qt.MouseButton.LeftButton
GUIDANCE = ControllerMapping("cc:1:74", "set_guidance", hand=0.5, holds=False)


def entries(menu: QMenu) -> dict[str, object]:
    return {action.text(): action for action in menu.actions() if action.text()}


def pick(picker: Picker, value: object) -> None:
    """As a click on an option does."""
    index = [each for _, each in picker.options].index(value)
    picker.setCurrentIndex(index)
    picker.activated.emit(index)


def open_menu() -> QMenu:
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


def test_every_taught_control_is_one_that_a_controller_can_move(panel):
    panel.show(scenes=("verse", "coda"))
    taught = list(all_taught(panel.window))
    assert len(taught) > 40
    for widget in taught:
        real_target(target_of(widget))  # raises where there is none
        assert name_of(widget)


def test_a_right_click_offers_learning_and_forgetting(panel):
    guidance = panel.window.macros.shape.guidance
    panel.show(mappings=(GUIDANCE,))
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse,
        guidance.mapTo(panel.window, QPoint(20, 20)),
        guidance.mapToGlobal(QPoint(20, 20)),
    )
    QApplication.sendEvent(panel.window, event)
    menu = entries(open_menu())
    menu["Learn a MIDI controller…"].trigger()
    menu["Forget CC 74, channel 1"].trigger()
    assert panel.took() == [m.BeginLearn("set_guidance"), m.ForgetMapping("set_guidance")]
    open_menu().close()


def test_the_menu_key_is_for_the_control_in_focus(panel):
    panel.window.output.gain.setFocus()
    place = QPoint(3, 3)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, place, place)
    QApplication.sendEvent(panel.window, event)
    assert "Output gain" in entries(open_menu())
    open_menu().close()


def test_a_long_press_opens_the_menu_and_a_drag_does_not(panel, qtbot):
    dial = panel.window.macros.shape.density
    qtbot.mousePress(dial, LEFT, pos=QPoint(20, 20))
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None, timeout=3000)
    open_menu().close()
    qtbot.mouseRelease(dial, LEFT)
    qtbot.mousePress(dial, LEFT, pos=QPoint(20, 20))
    qtbot.mouseMove(dial, QPoint(20, 60))
    qtbot.wait(LONG_PRESS_MS + 150)
    assert QApplication.activePopupWidget() is None
    qtbot.mouseRelease(dial, LEFT)


def test_the_card_learns_shows_what_comes_in_and_sets_the_mapping_right(panel):
    card = panel.window.learn_card
    panel.show(learning="set_guidance")
    assert card.isVisible()
    assert card.title.text() == "Learn: Guidance"
    panel.show(last_controller="cc:1:74 = 127")
    assert (card.incoming.text(), card.bar.share) == ("CC 74, channel 1: 127", 1.0)
    assert not card.settings.isVisible()
    panel.show(learning="", mappings=(GUIDANCE,))
    assert card.settings.isVisible()
    assert card.takeover.value == "pickup"
    pick(card.takeover, "scale")
    assert panel.took() == [m.SetMapping("cc:1:74", "set_guidance", 0.0, 1.0, "scale")]
    card.reverse.click()
    (message,) = panel.took()
    assert (message.low, message.high) == (1.0, 0.0)
    card.forget.click()
    assert panel.took() == [m.ForgetMapping("set_guidance")]
    assert card.isHidden()


def test_escape_gives_learning_up(panel, qtbot):
    panel.show(learning="mute")
    panel.window.keys.setFocus()
    qtbot.keyClick(panel.window.keys, Qt.Key.Key_Escape)
    assert panel.took() == [m.CancelLearn()]
    assert panel.window.learn_card.isHidden()


def test_learning_given_up_elsewhere_closes_the_card(panel):
    panel.show(learning="mute")
    panel.show(learning="")
    assert panel.window.learn_card.isHidden()


def test_the_blend_surface_learns_two_axes(panel):
    surface = panel.window.blend
    menu = panel.window.learn.menu(surface)
    entries(menu)["Learn a MIDI controller…"].trigger()
    entries(menu)["Learn a MIDI controller for up and down…"].trigger()
    assert panel.took() == [m.BeginLearn("set_pad:x"), m.BeginLearn("set_pad:y")]


def test_a_locked_stage_learns_nothing(panel):
    panel.window.lock.set_locked(True)
    assert not panel.window.learn.asked(panel.window.output.gain, QPoint())


# --- ghosts ---------------------------------------------------------------------------------------


def test_a_controller_that_does_not_hold_its_control_is_a_ghost_on_it(panel):
    window = panel.window
    panel.show(
        guidance=2.0,
        mappings=(
            GUIDANCE,
            ControllerMapping("cc:1:1", "set_prompts:2", hand=0.5, holds=False),
            ControllerMapping("cc:1:2", "set_pad:y", hand=0.25, holds=False),
            ControllerMapping("cc:1:3", "set_density", hand=0.3, holds=True),
            ControllerMapping("cc:1:4", "set_brightness", takeover="jump", hand=0.3),
        ),
    )
    guidance = window.macros.shape.guidance
    span = guidance.maximum() * 0.1
    expected = (real_target("set_guidance").message(0.5, {}.get).scale - 1.0) / span
    assert guidance.ghost == pytest.approx(expected)
    assert window.prompts.pads[1].weight.ghost == pytest.approx(0.5)
    assert window.blend.ghost is not None
    assert window.blend.ghost[1] == 0.25
    assert window.macros.shape.density.ghost is None
    assert window.macros.shape.brightness.ghost is None
    panel.show(mappings=(ControllerMapping("cc:1:74", "set_guidance", hand=0.5, holds=True),))
    assert guidance.ghost is None
    assert window.blend.ghost is None


def test_what_the_model_does_not_hear_is_drawn_so(panel):
    shape = panel.window.macros.shape
    panel.show(heard_kinds=("set_loudness", "set_guidance"))
    assert (shape.density.heard, shape.loudness.heard, shape.guidance.heard) == (False, True, True)
    assert ghosts_module.is_heard(panel.snapshot, "set_gain")  # acts in the sound


# --- the table ------------------------------------------------------------------------------------


@pytest.fixture
def table(panel):
    panel.show(
        mappings=(GUIDANCE, ControllerMapping("cc:*:7", "set_gain", takeover="jump")),
        last_controller="cc:3:7 = 90",
    )
    dialog = panel.window.open_dialog("mappings")
    panel.took()
    return dialog


def test_the_table_names_controls_and_marks_what_moves(table):
    rows = table.rows.rows
    assert [row.name for row in rows] == ["Guidance", "Output gain"]
    assert [row.live for row in rows] == [False, True]


def test_the_table_searches_changes_and_forgets(panel, table):
    table.search.setText("gain any")
    assert table.table.found.rowCount() == 1
    table.table.selectRow(0)
    pick(table.takeover, "scale")
    table.learn.click()
    table.forget.click()
    assert panel.took() == [
        m.SetMapping("cc:*:7", "set_gain", 0.0, 1.0, "scale"),
        m.BeginLearn("set_gain"),
        m.ForgetMapping("set_gain"),
    ]


def test_mappings_are_imported_and_exported(panel, table, tmp_path):
    for button, message in (
        (table.import_button, m.ImportMappings),
        (table.export_button, m.ExportMappings),
    ):
        button.click()
        ask = next(each for each in table.findChildren(QFileDialog) if each.isVisible())
        file = str(tmp_path / "knobs.toml")
        ask.fileSelected.emit(file)
        ask.close()
        ask.deleteLater()
        assert panel.took() == [message(file)]


# --- words ----------------------------------------------------------------------------------------


def test_sources_in_words():
    assert source_words("note:10:36") == "Note C2, channel 10"
    assert source_words("bend:*") == "Pitch bend, any channel"
    assert source_words("what:ever") == "what:ever"
    assert moved("") is None
    assert moved("cc:1:74 = x") is None
    came = moved("nrpn:1:300 = 16383")
    assert came is not None
    assert came.share == 1.0


def test_a_mapping_of_any_channel_is_moved_by_each():
    assert matches("cc:*:7", "cc:12:7")
    assert not matches("cc:*:7", "cc:12:8")
    assert not matches("cc:*:7", "")


def test_tooltips_tell_what_is_measured_and_mapped():
    snapshot = Snapshot(
        control_latency={"set_guidance": Latency(301.2, 377.0, 4)},
        latency={"block": Latency(290.0, 350.0, 40)},
        mappings=(GUIDANCE,),
        heard_kinds=("set_guidance",),
    )
    told = hint("<qt>Guidance</qt>", "set_guidance", snapshot)
    assert "301 ms" in told
    assert "377 ms" in told
    assert "CC 74, channel 1" in told
    told = hint("<qt>Density</qt>", "set_density", snapshot)
    assert "The block lane, measured: 290 ms" in told
    assert "no such control" in told


def test_the_tooltip_of_a_control_is_kept_true_and_does_not_grow(panel):
    guidance = panel.window.macros.shape.guidance
    plain = guidance.toolTip()
    panel.show(mappings=(GUIDANCE,))
    for _ in range(3):
        panel.window.hints.write(guidance)
    assert guidance.toolTip().count("CC 74") == 1
    panel.show(mappings=())
    panel.window.hints.write(guidance)
    assert guidance.toolTip() == plain
