"""The computer's keys as an instrument: letters play, digits call scenes, a few signs act."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QWidget,
)

if TYPE_CHECKING:
    from ui.main_window import MainWindow

EDITORS = (QLineEdit, QAbstractSpinBox, QComboBox, QAbstractItemView)
SHIFTED_DIGITS = "!@#$%^&*"  # what Shift makes of 1 to 8 on many keyboards


class Letters:
    """Answers the keys of one window that no widget took. Words being typed are words."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        row, transport = window.key_row, window.transport
        self._actions: dict[str, Callable[[], None]] = {
            "Z": lambda: row.move_octave(-1),
            "X": lambda: row.move_octave(1),
            "C": lambda: row.move_velocity(-1),
            "V": lambda: row.move_velocity(1),
            "B": transport.tap,
            "N": transport.downbeat.pressed.emit,
            "/": row.sustain.click,
            "?": window.help.open,
            " ": transport.play.click,
        }

    def pressed(self, event: QKeyEvent) -> bool:
        """A key went down; whether it meant something."""
        focus = QApplication.focusWidget()
        if isinstance(focus, EDITORS):
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
                self._finish_editing(event, focus)
                return True
            return False
        if event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        ):
            return False
        letter = chr(event.key()) if 0x20 <= event.key() < 0x7F else ""
        act = self._action(letter, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        pitch = self._window.played.letter_pitch(letter)
        if pitch is None and act is None:
            return False
        if event.isAutoRepeat():
            return True
        if pitch is not None:
            self._window.played.press(event.key(), pitch)
        elif act is not None:
            act()
        self._window.keys.refresh()
        return True

    def _action(self, letter: str, shift: bool) -> Callable[[], None] | None:
        scenes = self._window.scenes
        if letter in self._actions:
            return self._actions[letter]
        if letter and letter in "12345678":
            number = int(letter)
            keep = shift and not self._window.lock.locked
            return lambda: scenes.keep_number(number) if keep else scenes.call_number(number)
        if letter and letter in SHIFTED_DIGITS and not self._window.lock.locked:
            number = SHIFTED_DIGITS.index(letter) + 1
            return lambda: scenes.keep_number(number)
        return None

    def released(self, event: QKeyEvent) -> bool:
        """A key came up; whether it had been a note."""
        if event.isAutoRepeat() or not self._window.played.holds(event.key()):
            return False
        self._window.played.release(event.key())
        self._window.keys.refresh()
        return True

    def _finish_editing(self, event: QKeyEvent, editor: QWidget) -> None:
        """Enter sends what was typed, Escape drops it; then the letters play again."""
        if event.key() == Qt.Key.Key_Escape:
            self._window.prompts.restore(editor)
        if not isinstance(editor, QComboBox | QAbstractItemView):
            self._window.keys.setFocus()
