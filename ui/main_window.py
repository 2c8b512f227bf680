"""The main window: makes the views, and opens what the menu and the shortcuts ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QPoint, Qt
from PyQt6.QtGui import (
    QCloseEvent,
    QContextMenuEvent,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
)
from PyQt6.QtWidgets import QApplication, QDialog, QMainWindow, QMenu, QPushButton

from lmdm.live import messages as m
from ui import icons, theme
from ui.arrangement import arrangement
from ui.banner import Banner
from ui.blend_surface import BlendSurface
from ui.ghosts import Ghosts
from ui.ground import Ground, Views
from ui.help import ShortcutsHelp
from ui.hints import Hints
from ui.key_row import KeyRow
from ui.keyboard import PianoKeys
from ui.keys import PlayedKeys
from ui.learn import LearnMenu
from ui.learn_card import LearnCard
from ui.letters import Letters
from ui.lock import LockButton, StageLock
from ui.macros import Macros
from ui.output_strip import OutputStrip
from ui.preferences import Preferences, load, save
from ui.prompts import PromptPads
from ui.safety import SafetyButtons
from ui.scenes import ScenesStrip
from ui.shortcuts import GROUPS
from ui.sound_view import SoundView
from ui.stage import Stage
from ui.status_line import StatusLine
from ui.tour import Step, Tour
from ui.transport import Transport

Sound = Callable[[], np.ndarray]


class MainWindow(QMainWindow):
    """Everything on one surface. `stage` is what it shows and sends through.

    Args:
        stage: the view-model.
        sound: PCM heard since the last call; None draws levels only.
        file: where preferences are kept; None keeps them for this session only.
        clock: seconds, as the beat and the sound's picture go by them.
        preferences: those to begin with, where there is no file.
    """

    def __init__(
        self,
        stage: Stage,
        sound: Sound | None = None,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        preferences: Preferences | None = None,
    ) -> None:
        super().__init__()
        self.installEventFilter(self)
        self.stage = stage
        self._closed = False
        self._file = file
        self.preferences = load(file) if file is not None else preferences or Preferences()
        self.played = PlayedKeys(stage.send)
        self.setWindowTitle("LMDM Live")
        self.transport = Transport(stage, clock)
        self.safety = SafetyButtons(stage, self.played)
        self.scenes = ScenesStrip(stage)
        self.banner = Banner(stage)
        self.prompts = PromptPads(stage)
        self.blend = BlendSurface(stage, self.prompts)
        self.macros = Macros(stage)
        self.sound = SoundView(stage, sound, clock)
        self.output = OutputStrip(stage)
        self.key_row = KeyRow(stage, self.played)
        self.keys = PianoKeys(stage, self.played)
        self.status = StatusLine(stage, clock)
        self.lock = LockButton()
        self.menu_button = QPushButton()
        self.menu_button.setObjectName("icon")
        self.menu_button.setIcon(icons.icon("sliders"))
        theme.describe(
            self.menu_button, "Menu", "Set-up, mappings, presets, takes, help, and how it looks."
        )
        self.menu_button.clicked.connect(self.open_menu)
        self.ground = Ground(
            Views(
                self.transport, self.safety, self.lock, self.menu_button, self.scenes, self.banner,
                self.prompts, self.blend, self.macros, self.sound, self.output, self.key_row,
                self.keys, self.status,
            ),
            stage,
        )  # fmt: skip
        self.setCentralWidget(self.ground)
        self.learn = LearnMenu(stage, self)
        self.learn_card = LearnCard(stage, self)
        self.ghosts = Ghosts(stage, self)
        self.hints = Hints(stage, self)
        self.help = ShortcutsHelp(self.ground)
        self.tour = Tour(self.ground, self._steps())
        self.tour.finished.connect(lambda: self._prefer(replace(self.preferences, tour_seen=True)))
        self.letters = Letters(self)
        self._dialogs: dict[str, QDialog] = {}
        self._bind()
        self._bind_lock()
        self._apply_preferences()
        self.resize(1280, 800)
        self.setMinimumSize(560, 360)
        self.keys.setFocus()

    # --- actions --------------------------------------------------------------------------------

    def _bind(self) -> None:
        self.actions_by_name: dict[str, Callable[[], object]] = {
            "panic": self.safety.press_panic,
            "mute": self.safety.mute.click,
            "record": self.safety.record.click,
            "lock": self.toggle_lock,
            "undo": lambda: self.stage.send(m.UndoChange()),
            "redo": lambda: self.stage.send(m.RedoChange()),
            "full screen": self.toggle_full_screen,
            "set-up": lambda: self.open_dialog("set-up"),
            "mappings": lambda: self.open_dialog("mappings"),
            "presets": lambda: self.open_dialog("presets"),
            "takes": lambda: self.open_dialog("takes"),
            "larger": lambda: self._prefer(self.preferences.larger(1)),
            "smaller": lambda: self._prefer(self.preferences.larger(-1)),
        }
        for group in GROUPS:
            for each in group.shortcuts:
                if each.action:
                    shortcut = QShortcut(QKeySequence(each.keys), self)
                    shortcut.setAutoRepeat(False)
                    shortcut.activated.connect(self.actions_by_name[each.action])

    def open_menu(self) -> None:
        """The menu under the last button of the top bar."""
        corner = self.menu_button.mapToGlobal(QPoint(0, self.menu_button.height() + 4))
        menu = self.menu()
        menu.popup(corner - QPoint(menu.sizeHint().width() - self.menu_button.width(), 0))

    def menu(self) -> QMenu:
        """What can be opened, and how the panel looks."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for words, name, keys in (
            ("Set-up…", "set-up", "Ctrl+,"),
            ("MIDI mappings…", "mappings", "Ctrl+K"),
            ("Presets…", "presets", "Ctrl+P"),
            ("Takes…", "takes", "Ctrl+T"),
        ):
            action = menu.addAction(words)
            assert action is not None
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _on=False, name=name: self.open_dialog(name))
        menu.addSeparator()
        _entry(menu, "Full screen", self.toggle_full_screen)
        _entry(menu, "Larger letters", self.actions_by_name["larger"])
        _entry(menu, "Smaller letters", self.actions_by_name["smaller"])
        calm = menu.addAction("Reduced motion")
        assert calm is not None
        calm.setCheckable(True)
        calm.setChecked(self.preferences.reduced_motion)
        calm.triggered.connect(
            lambda on: self._prefer(replace(self.preferences, reduced_motion=on))
        )
        menu.addSeparator()
        _entry(menu, "Keys…", self.help.open)
        _entry(menu, "Take the tour", self.tour.open)
        return menu

    def open_dialog(self, name: str) -> QDialog | None:
        """Opens one of the dialogs, beside the panel; None while the stage is locked."""
        if self.lock.locked:
            self.stage.problem.emit(LOCKED)
            return None
        if name not in self._dialogs:
            self._dialogs[name] = _dialog(name, self.stage, self)
        dialog = self._dialogs[name]
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()
        return dialog

    def toggle_full_screen(self) -> None:
        """The whole screen, and back."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def toggle_lock(self) -> None:
        """Locks; a locked stage is unlocked by holding the padlock, not by a key."""
        if self.lock.locked:
            self.stage.problem.emit(LOCKED)
        else:
            self.lock.set_locked(True)

    def _bind_lock(self) -> None:
        macros = self.macros
        self._stage_lock = StageLock((
            self.menu_button, macros.chance, macros.memory.from_bars, macros.memory.from_file,
            macros.shape.key,
        ))  # fmt: skip
        self.lock.changed.connect(self._lock)

    def _lock(self, locked: bool) -> None:
        self._stage_lock.set_locked(locked)
        self.learn.enabled = not locked
        self.prompts.set_locked(locked)
        self.safety.set_locked(locked)
        self.transport.set_locked(locked)
        self.scenes.set_locked(locked)
        self.ground.set_locked(locked)
        self.keys.setFocus()
        if locked:
            self.help.close_overlay()
            self.learn_card.give_up()
            for dialog in self._dialogs.values():
                dialog.hide()

    # --- how it looks ---------------------------------------------------------------------------

    def _prefer(self, chosen: Preferences) -> None:
        if chosen == self.preferences:
            return
        self.preferences = chosen
        self._apply_preferences()
        if self._file is not None:
            try:
                save(chosen, self._file)
            except OSError as problem:
                self.stage.problem.emit(f"The preferences cannot be kept: {problem}")

    def _apply_preferences(self) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        wanted = theme.POINTS * self.preferences.text
        if abs(application.font().pointSizeF() - wanted) > 0.01:
            theme.apply(application, self.preferences.text)
        self.sound.calm = self.preferences.reduced_motion
        self.transport.beat_clock.calm = self.preferences.reduced_motion
        self._arrange()

    def _arrange(self) -> None:
        line = self.fontMetrics().height()
        self.ground.arrange(arrangement(self.width(), self.height(), line), self.width() / line)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 (Qt's name)
        """A small window shows a page at a time."""
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """So do large letters."""
        super().changeEvent(event)
        fresh = event is not None and event.type() == QEvent.Type.FontChange
        if fresh and self.centralWidget() is not None:
            self._arrange()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """A window that lost the keyboard lets every note go: it will not see the key come up.

        `event` is not overridden: Qt would then paint the whole window with Python's lock held, and
        the audio feeder would wait for it.
        """
        if watched is self and event is not None and event.type() == QEvent.Type.WindowDeactivate:
            self.release_notes()
        return False

    def begin_tour(self) -> None:
        """Shows the tour to someone new."""
        if not self.preferences.tour_seen:
            self.tour.open()

    def _steps(self) -> tuple[Step, ...]:
        return (
            Step(
                self.prompts,
                "Say what you want to hear",
                "Write a sound in words and press Enter. The sliders weigh one against another.",
            ),
            Step(
                self.blend,
                "Move between them",
                "Drag the point. The nearer to a letter, the more of its prompt you hear.",
            ),
            Step(
                self.keys,
                "Play",
                "Notes from a MIDI keyboard, the mouse, or the letters A to P lead the model. "
                "Green dots are what it hears.",
            ),
            Step(
                self.scenes,
                "Change on the beat",
                "Keep a sound as a scene, call it with 1 to 8, and see when it will land.",
            ),
            Step(
                self.safety,
                "Nothing can go wrong",
                "Panic is silence at once. Right-click any control to learn a MIDI knob for it, "
                "and press ? for all keys.",
            ),
        )

    # --- keys and closing -----------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Letters play; Escape closes the learn card."""
        if event is None or self.letters.pressed(event):
            return
        if event.key() != Qt.Key.Key_Escape or not self.learn_card.give_up():
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """A letter's note ends."""
        if event is not None and not self.letters.released(event):
            super().keyReleaseEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        """A control's menu; by the menu key, that of the control in focus."""
        if event is None:
            return
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        child = self.focusWidget() if by_key else self.childAt(event.pos())
        if not self.learn.asked(child, event.globalPos()):
            event.ignore()

    def release_notes(self) -> None:
        """Lets go of every key held by mouse or letters."""
        self.played.release_all()
        self.keys.refresh()

    def end(self) -> None:
        """Closes, locked or not."""
        self.lock.set_locked(False)
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Lets go of the notes and ends the session; not while the stage is locked."""
        if self.lock.locked and not self._closed:
            self.stage.problem.emit(LOCKED)
            if event is not None:
                event.ignore()
            return
        self.release_notes()
        for dialog in self._dialogs.values():
            dialog.close()
        if not self._closed:
            self._closed = True
            self.stage.send(m.Quit())
            self.stage.stop()
        super().closeEvent(event)


LOCKED = "The stage is locked. Hold the padlock for a second to unlock it."


def _dialog(name: str, stage: Stage, window: MainWindow) -> QDialog:
    """A dialog, made when it is first asked for."""
    if name == "set-up":
        from ui.setup import SetupDialog

        return SetupDialog(stage, window)
    if name == "mappings":
        from ui.mappings import MappingsDialog

        return MappingsDialog(stage, window)
    if name == "presets":
        from ui.presets import PresetsDialog

        return PresetsDialog(stage, window)
    from ui.takes import TakesDialog

    return TakesDialog(stage, window)


def _entry(menu: QMenu, words: str, act: Callable[[], object]) -> None:
    action = menu.addAction(words)
    assert action is not None
    action.triggered.connect(lambda _on=False: act())
