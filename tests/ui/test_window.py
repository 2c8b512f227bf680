"""The window: its arrangements, lock, tour, help, preferences, and what it costs."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QLabel, QWidget

from lmdm.live import messages as m
from lmdm.live.messages import Quit, Snapshot
from tests.ui.conftest import PROMPTS
from ui import sound_picture, sound_view, theme, timeline
from ui.arrangement import WHOLE_HEIGHT, WHOLE_WIDTH, arrangement
from ui.lock import HOLD_MS
from ui.main_window import MainWindow
from ui.preferences import LARGEST_TEXT, SMALLEST_TEXT, Preferences, load, save
from ui.shortcuts import GROUPS
from ui.stage import Stage

CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


# --- arrangement ----------------------------------------------------------------------------------


@given(st.floats(300, 4000), st.floats(200, 3000), st.floats(8, 60))
def test_only_how_much_text_fits_decides(width, height, line):
    assert arrangement(width, height, line) == arrangement(2 * width, 2 * height, 2 * line)
    whole = width >= WHOLE_WIDTH * line and height >= WHOLE_HEIGHT * line
    assert arrangement(width, height, line) == ("whole" if whole else "paged")


def inside(window: QWidget, view: QWidget) -> bool:
    """Whether a view lies wholly within its window."""
    corner = view.mapTo(window, view.rect().topLeft())
    end = view.mapTo(window, view.rect().bottomRight())
    return window.rect().contains(corner) and window.rect().contains(end)


@pytest.mark.parametrize(("wide", "tall"), [(1280, 800), (1920, 1080), (960, 540), (640, 400)])
def test_what_must_always_be_in_reach_is_at_every_size(panel, qapp, wide, tall):
    window = panel.window
    window.resize(wide, tall)
    qapp.processEvents()
    assert window.size().width() == wide
    pages = window.ground.pages
    for page in range(len(pages.buttons) if pages is not None else 1):
        if pages is not None:
            pages.turn(page)
            qapp.processEvents()
        always = (window.safety.panic, window.safety.mute, window.safety.record, window.lock,
                  window.transport.beat_clock, window.status)  # fmt: skip
        for view in always:
            assert view.isVisible(), (page, view.accessibleName())
            assert inside(window, view), (page, view.accessibleName())
    if pages is None:
        for view in (window.blend, window.sound, window.keys, window.macros, window.output):
            assert inside(window, view), view.accessibleName()
            assert view.height() >= view.minimumSizeHint().height() - 1, view.accessibleName()


def test_views_stay_the_same_through_arrangements(panel, qapp):
    window = panel.window
    panel.show(guidance=3.0, prompts=(("a", 1.0), ("b", 1.0), ("c", 1.0)))
    before = (window.blend, window.macros, window.prompts)
    for wide, tall in ((640, 400), (1280, 800), (700, 500), (1280, 800)):
        window.resize(wide, tall)
        qapp.processEvents()
    assert window.ground.arrangement == "whole"
    assert before == (window.blend, window.macros, window.prompts)
    assert all(view.isVisible() for view in before)
    assert not window.banner.isVisible()
    assert window.macros.shape.guidance.number == 3.0


# --- lock -----------------------------------------------------------------------------------------


def test_a_locked_stage_plays_and_nothing_else(panel, qtbot):
    window = panel.window
    panel.show(scenes=("Dawn",), recording="takes/1")
    qtbot.keyClick(window, Qt.Key.Key_L, CONTROL)
    assert window.lock.locked
    assert not window.key_row.isVisible()
    window.scenes.call("Dawn")
    window.blend.go(0.4, 0.5)
    qtbot.keyClick(window.keys, Qt.Key.Key_A)
    window.safety.panic.pressed.emit()
    kinds = [type(message) for message in panel.took()]
    assert kinds == [m.RecallScene, m.SetPad, m.NoteOn, m.NoteOff, m.Panic]
    window.safety.record.click()  # a take is not ended by accident
    pad = window.prompts.pads[0].text
    qtbot.keyClicks(pad, "zzz")
    assert pad.text() == "felt piano"
    assert window.open_dialog("set-up") is None
    window.close()
    assert window.isVisible()
    assert "locked" in window.banner.text
    assert not any(isinstance(message, (Quit, m.StopRecording)) for message in panel.took())


def test_holding_the_padlock_unlocks(panel, qtbot):
    lock = panel.window.lock
    lock.set_locked(True)
    qtbot.mouseClick(lock, LEFT)  # a click is not enough
    assert lock.locked
    qtbot.mousePress(lock, LEFT)
    qtbot.waitUntil(lambda: not lock.locked, timeout=HOLD_MS + 3000)
    qtbot.mouseRelease(lock, LEFT)
    assert not lock.locked
    assert panel.window.key_row.isVisible()


def test_what_was_put_away_for_the_lock_comes_back(panel, qapp):
    window = panel.window
    window.resize(1600, 900)
    qapp.processEvents()
    views = (window.transport.tempo, window.transport.source, window.transport.stop,
             window.safety.undo, window.scenes.keep, window.prompts.extras)  # fmt: skip
    before = [view.isVisible() for view in views]
    assert all(before)
    window.lock.set_locked(True)
    assert not any(view.isVisible() for view in views)
    window.lock.set_locked(False)
    assert [view.isVisible() for view in views] == before


# --- tour and help --------------------------------------------------------------------------------


def test_the_tour_has_five_steps_at_most_and_is_told_once(qtbot, dressed, tmp_path):
    file = tmp_path / "panel.json"
    window = MainWindow(Stage(lambda message: None, lambda: None), file=file)
    qtbot.addWidget(window)
    window.show()
    window.begin_tour()
    tour = window.tour
    assert tour.isVisible()
    assert len(tour.steps) <= 5
    for step in tour.steps:
        assert tour.title.text() == step.title
        assert inside(window, tour.card)
        assert not tour.spotlight().isEmpty()
        qtbot.keyClick(tour, Qt.Key.Key_Return)
    assert not tour.isVisible()
    assert load(file).tour_seen
    window.begin_tour()
    assert not tour.isVisible()


def test_the_tour_can_be_skipped_and_fits_a_small_window(panel, qtbot, qapp):
    panel.window.resize(640, 400)
    qapp.processEvents()
    panel.window.tour.open()
    for place in range(5):
        panel.window.tour.go(place)
        qapp.processEvents()
        assert inside(panel.window, panel.window.tour.card)
    qtbot.mouseClick(panel.window.tour.skip, LEFT)
    assert not panel.window.tour.isVisible()


def test_question_mark_lists_every_shortcut_and_notes_are_not_played_beneath(panel, qtbot):
    qtbot.keyClick(panel.window.keys, Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    help_card = panel.window.help
    assert help_card.isVisible()
    texts = {label.text() for label in help_card.card.findChildren(QLabel)}
    for group in GROUPS:
        for shortcut in group.shortcuts:
            assert shortcut.keys in texts
            assert shortcut.what in texts
    qtbot.keyClick(help_card, Qt.Key.Key_A)
    assert panel.took() == []
    qtbot.keyClick(help_card, Qt.Key.Key_Escape)
    assert not help_card.isVisible()


def test_every_listed_action_is_bound(panel):
    named = {each.action for group in GROUPS for each in group.shortcuts if each.action}
    assert named == set(panel.window.actions_by_name)


# --- preferences ----------------------------------------------------------------------------------


def test_preferences_are_kept_whole_and_survive_damage(tmp_path):
    file = tmp_path / "folder" / "panel.json"
    chosen = Preferences(text=1.3, reduced_motion=True, tour_seen=True)
    save(chosen, file)
    assert load(file) == chosen
    assert [each.name for each in file.parent.iterdir()] == ["panel.json"]
    for damage in (
        "",
        "{",
        "[1]",
        '{"text": "big", "colour": 1}',
        '{"text": 1e99}',
        '{"text": NaN}',
    ):
        file.write_text(damage)
        assert SMALLEST_TEXT <= load(file).text <= LARGEST_TEXT


def test_letters_grow_and_the_panel_follows(panel, qtbot, qapp):
    window = panel.window
    window.resize(1280, 800)
    before = window.fontMetrics().height()
    try:
        for _ in range(8):
            window.actions_by_name["larger"]()
        qapp.processEvents()
        assert window.fontMetrics().height() > 1.6 * before
        assert window.ground.arrangement == "paged"
        assert inside(window, window.safety.panic)
    finally:
        theme.apply(qapp)
    for _ in range(30):
        window.actions_by_name["smaller"]()
    assert window.preferences.text == SMALLEST_TEXT
    theme.apply(qapp)


def test_reduced_motion_repaints_less(panel, qapp):
    window = panel.window
    window._prefer(Preferences(reduced_motion=True))
    assert window.sound.calm
    assert window.transport.beat_clock.calm


def test_preferences_that_cannot_be_kept_are_told(qtbot, dressed, tmp_path):
    folder = tmp_path / "file"
    folder.write_text("")
    window = MainWindow(Stage(lambda message: None, lambda: None), file=folder / "panel.json")
    qtbot.addWidget(window)
    window.show()
    window._prefer(Preferences(tour_seen=True))
    assert "cannot be kept" in window.banner.text


def test_the_menu_opens_everything(panel):
    menu = panel.window.menu()
    words = [action.text() for action in menu.actions() if action.text()]
    assert words == [
        "Set-up…", "MIDI mappings…", "Presets…", "Takes…", "Full screen", "Larger letters",
        "Smaller letters", "Reduced motion", "Keys…", "Take the tour",
    ]  # fmt: skip
    for name in ("set-up", "mappings", "presets", "takes"):
        dialog = panel.window.open_dialog(name)
        assert dialog.isVisible()
        assert dialog.windowTitle().endswith("LMDM Live")


# --- what it costs --------------------------------------------------------------------------------


def test_no_object_is_left_behind_by_a_long_run(qtbot, dressed, monkeypatch):
    """As many Qt objects, and Python objects, after many snapshots as after some."""
    monkeypatch.setattr(sound_picture, "HISTORY", 512)  # full sooner
    monkeypatch.setattr(sound_view, "HISTORY", 512)
    monkeypatch.setattr(timeline, "MOST_MARKS", 16)
    now = 0.0
    snapshot = Snapshot(status="playing", prompts=PROMPTS)
    stage = Stage(lambda message: None, lambda: snapshot, clock=lambda: now)
    window = MainWindow(stage, clock=lambda: now)
    qtbot.addWidget(window)
    window.show()

    def run(snapshots: int) -> tuple[int, int]:
        nonlocal now, snapshot
        for number in range(snapshots):
            now += 0.05
            snapshot = replace(
                snapshot,
                heard=snapshot.heard + 2205,
                heard_beat=snapshot.heard_beat + 0.1,
                guidance=1.0 + number % 5,
                held=(60 + number % 3,),
                landed=(m.Landed("set_guidance", "2", snapshot.heard + 400, 300.0),),
                last_controller=f"cc:1:74 = {number % 128}",
            )
            stage.tick()
            if number % 25 == 0:
                dressed.processEvents()
        gc.collect()
        return len(window.findChildren(QWidget)), len(gc.get_objects())

    run(400)
    widgets, objects = run(100)
    later_widgets, later_objects = run(800)
    assert later_widgets == widgets
    assert later_objects < objects + 100
    assert len(window.sound.timeline.marks) <= 16
    window.end()


def test_a_window_that_never_heard_from_the_engine_closes(qtbot, dressed):
    sent = []
    window = MainWindow(Stage(sent.append, lambda: None))
    qtbot.addWidget(window)
    window.show()
    window.lock.set_locked(True)
    window.end()
    assert sent == [Quit()]
    assert isinstance(QApplication.instance(), QApplication)
    assert window.stage.snapshot == Snapshot()
