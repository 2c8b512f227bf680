"""A row of buttons of which one is chosen."""

from __future__ import annotations

from typing import Generic, TypeVar

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QWidget

from lmdm.live.messages import Lane, Message, kind_of
from ui import theme
from ui.lane_label import LaneLabel
from ui.learn import teach
from ui.stage import Stage

Value = TypeVar("Value")


def toggle(
    stage: Stage, words: str, name: str, what: str, message: type[Message], field: str
) -> QPushButton:
    """A button that is on or off: `message(on)` sets it, the snapshot's `field` shows it."""
    button = QPushButton(words)
    button.setObjectName("small")
    button.setCheckable(True)
    theme.describe(button, name, what, message.lane)
    button.clicked.connect(lambda on: stage.send(message(on)))  # type: ignore[call-arg]
    stage.changed.connect(lambda snapshot: button.setChecked(bool(getattr(snapshot, field))))
    teach(button, kind_of(message), name)
    return button


def choice_for(
    stage: Stage,
    name: str,
    what: str,
    message: type[Message],
    field: str,
    options: tuple[tuple[str, Value], ...],
    lane: Lane | None = None,
) -> Choice[Value]:
    """A choice that sends and shows one control; `lane` is its message's unless told."""
    made: Choice[Value] = Choice(name, what, lane or message.lane, options)
    made.chosen.connect(lambda value: stage.send(message(value)))  # type: ignore[call-arg]
    stage.changed.connect(lambda snapshot: made.show_value(getattr(snapshot, field)))
    teach(made, kind_of(message), name)
    return made


class Choice(QWidget, Generic[Value]):
    """A name and one button an option; `options` are pairs of words and value.

    `chosen` carries the value when the musician picks one, never when `show_value` does.
    """

    chosen = pyqtSignal(object)

    def __init__(
        self,
        name: str,
        what: str,
        lane: Lane,
        options: tuple[tuple[str, Value], ...],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.label: QLabel = LaneLabel(name, lane)
        row.addWidget(self.label)
        self._values = [value for _, value in options]
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self.buttons: dict[str, QPushButton] = {}
        for index, (words, _) in enumerate(options):
            button = QPushButton(words)
            button.setObjectName("small")
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            theme.describe(button, f"{name}: {words}", what, lane)
            self._group.addButton(button, index)
            self.buttons[words] = button
            row.addWidget(button, 1)
        self._group.idClicked.connect(lambda index: self.chosen.emit(self._values[index]))
        theme.describe(self, name, what, lane)

    @property
    def value(self) -> Value | None:
        """The value chosen."""
        index = self._group.checkedId()
        return self._values[index] if index >= 0 else None

    def show_value(self, value: Value) -> None:
        """Shows a choice without reporting it."""
        if value == self.value and self._group.checkedId() >= 0:
            return
        if value in self._values:
            button = self._group.button(self._values.index(value))
            assert button is not None
            button.setChecked(True)
        else:  # none of them: no button is down
            self._group.setExclusive(False)
            for button in self._group.buttons():
                button.setChecked(False)
            self._group.setExclusive(True)
