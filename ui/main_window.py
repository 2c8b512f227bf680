"""The main window: lays out the views, and turns the computer's keys into notes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from lmdm.live.messages import Quit
from ui.banner import Banner
from ui.blend_surface import BlendSurface
from ui.key_row import KeyRow
from ui.keyboard import PianoKeys
from ui.keys import PlayedKeys
from ui.lane_label import LaneLabel
from ui.macros import Macros
from ui.meters import OutputStrip
from ui.prompts import PromptPads
from ui.safety import SafetyButtons
from ui.sound_view import SoundView
from ui.stage import Stage
from ui.status_line import StatusLine
from ui.transport import Transport

EDITORS = (QLineEdit, QAbstractSpinBox)


class MainWindow(QMainWindow):
    """Everything on one surface. `stage` is what it shows and sends through."""

    def __init__(self, stage: Stage, sound: Callable[[], np.ndarray] | None = None) -> None:
        super().__init__()
        self.stage = stage
        self._closed = False
        self.played = PlayedKeys(stage.send)
        self.setWindowTitle("LMDM Live")
        self.transport = Transport(stage)
        self.safety = SafetyButtons(stage, self.played)
        self.banner = Banner(stage)
        self.prompts = PromptPads(stage)
        self.blend = BlendSurface(stage, self.prompts)
        self.macros = Macros(stage)
        self.sound = SoundView(stage, sound)
        self.output = OutputStrip(stage)
        self.key_row = KeyRow(stage, self.played)
        self.keys = PianoKeys(stage, self.played)
        self.status = StatusLine(stage)
        self._lay_out()
        self._key_actions: dict[str, Callable[[], None]] = {
            "Z": lambda: self.key_row.move_octave(-1),
            "X": lambda: self.key_row.move_octave(1),
            "C": lambda: self.key_row.move_velocity(-1),
            "V": lambda: self.key_row.move_velocity(1),
            "B": self.transport.tap,
            "N": self.transport.downbeat.pressed.emit,
            "/": self.key_row.sustain.click,
        }
        for keys, action in (
            ("Ctrl+R", self.safety.record.click),
            ("Ctrl+M", self.safety.mute.click),
            ("Ctrl+.", self.safety.press_panic),
            ("F11", self.toggle_full_screen),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(action)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)
        self.resize(1280, 800)
        self.setMinimumSize(1160, 680)
        self.keys.setFocus()

    def _lay_out(self) -> None:
        ground = QWidget()
        ground.setObjectName("ground")
        column = QVBoxLayout(ground)
        column.setContentsMargins(12, 10, 12, 6)
        column.setSpacing(10)
        top = QHBoxLayout()
        top.addWidget(self.transport)
        top.addStretch(1)
        top.addWidget(self.safety)
        column.addLayout(top)
        column.addWidget(self.banner)
        shape = QHBoxLayout()
        shape.setSpacing(10)
        shape.addWidget(_panel(self.prompts, caption=LaneLabel("Prompts", "block")), 11)
        shape.addWidget(_panel(self.blend, caption=LaneLabel("Blend", "block")), 6)
        shape.addWidget(_panel(self.macros), 8)
        column.addLayout(shape, 5)
        sound = QHBoxLayout()
        sound.setSpacing(10)
        sound.addWidget(_panel(self.sound), 1)
        sound.addWidget(_panel(self.output))
        column.addLayout(sound, 5)
        column.addWidget(_panel(self.key_row, self.keys), 4)
        column.addWidget(self.status)
        self.setCentralWidget(ground)

    def toggle_full_screen(self) -> None:
        """The whole screen, and back."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Letters play notes unless words are being typed; lost focus lets every note go."""
        if event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._belongs(watched) and self._key_pressed(event)
        if kind == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent):
            return self._belongs(watched) and self._key_released(event)
        if kind in (QEvent.Type.ApplicationDeactivate, QEvent.Type.WindowDeactivate):
            self.release_notes()
        return False

    def release_notes(self) -> None:
        """Lets go of every key held by mouse or letters."""
        self.played.release_all()
        self.keys.refresh()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Lets go of the notes and ends the session."""
        self.release_notes()
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        if not self._closed:
            self._closed = True
            self.stage.send(Quit())
            self.stage.stop()
        super().closeEvent(event)

    def _belongs(self, watched: QObject | None) -> bool:
        """Qt shows a key event to its window handle too; it is taken once, at a widget."""
        return isinstance(watched, QWidget) and watched.window() is self

    def _key_pressed(self, event: QKeyEvent) -> bool:
        editing = isinstance(QApplication.focusWidget(), EDITORS)
        if editing:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
                self._finish_editing(event)
            return False
        if event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        ):
            return False
        letter = _letter(event)
        pitch = self.played.letter_pitch(letter)
        if pitch is None and letter not in self._key_actions:
            return False
        if event.isAutoRepeat():
            return True
        if pitch is not None:
            self.played.press(event.key(), pitch)
        else:
            self._key_actions[letter]()
        self.keys.refresh()
        return True

    def _key_released(self, event: QKeyEvent) -> bool:
        if event.isAutoRepeat() or not self.played.holds(event.key()):
            return False
        self.played.release(event.key())
        self.keys.refresh()
        return True

    def _finish_editing(self, event: QKeyEvent) -> None:
        """Enter sends what was typed, Escape drops it; then the letters play again."""
        editor = QApplication.focusWidget()
        if event.key() == Qt.Key.Key_Escape:
            self.prompts.restore(editor)
        self.keys.setFocus()


def _letter(event: QKeyEvent) -> str:
    """The letter or sign on a key, whatever Shift does to it; empty for other keys."""
    return chr(event.key()) if 0x20 < event.key() < 0x7F else ""


def _panel(*contents: QWidget, caption: QLabel | None = None) -> QFrame:
    panel = QFrame()
    panel.setObjectName("panel")
    column = QVBoxLayout(panel)
    column.setContentsMargins(12, 10, 12, 10)
    column.setSpacing(6)
    if caption is not None:
        column.addWidget(caption)
    for index, widget in enumerate(contents):
        column.addWidget(widget, 1 if index == len(contents) - 1 else 0)
    column.setSizeConstraint(QLayout.SizeConstraint.SetDefaultConstraint)
    return panel
