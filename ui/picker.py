"""A list to pick one of, drawn in the panel's style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent, QPolygonF, QWheelEvent
from PyQt6.QtWidgets import QComboBox, QSizePolicy, QWidget

from lmdm.live.messages import Lane
from ui import theme

Value = TypeVar("Value")


class Picker(QComboBox, Generic[Value]):
    """Options are pairs of words and value.

    `chosen` carries the value when the musician picks one, never when `show_value` does.
    """

    chosen = pyqtSignal(object)

    def __init__(
        self,
        name: str,
        what: str,
        options: Sequence[tuple[str, Value]] = (),
        lane: Lane | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._values: list[Value] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_options(options)
        self.activated.connect(lambda index: self.chosen.emit(self._values[index]))
        theme.describe(self, name, what, lane)

    @property
    def value(self) -> Value | None:
        """The value picked; None when there is none."""
        index = self.currentIndex()
        return self._values[index] if 0 <= index < len(self._values) else None

    @property
    def options(self) -> list[tuple[str, Value]]:
        """What can be picked."""
        return [(self.itemText(index), value) for index, value in enumerate(self._values)]

    def show_options(self, options: Sequence[tuple[str, Value]]) -> None:
        """Other options; what was picked stays if it is among them. An open list is left alone."""
        view: Any = self.view()
        if list(options) == self.options or (view is not None and view.isVisible()):
            return
        kept = self.value
        self.blockSignals(True)
        self.clear()
        self._values = [value for _, value in options]
        self.addItems([words for words, _ in options])
        self.setCurrentIndex(self._values.index(kept) if kept in self._values else -1)
        self.blockSignals(False)

    def show_value(self, value: Value | None) -> None:
        """Shows a value without reporting it; one that is not among the options shows none."""
        view: Any = self.view()
        if view is not None and view.isVisible():
            return
        index = self._values.index(value) if value in self._values else -1
        if index != self.currentIndex():
            self.setCurrentIndex(index)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 (Qt's name)
        """A wheel that passes over changes nothing."""
        if event is not None:
            event.ignore()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """The box, then an arrow."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.QUIET if self.isEnabled() else theme.FAINT))
        x, y = self.width() - 15.0, self.height() / 2
        painter.drawPolygon(
            QPolygonF([QPointF(x - 4, y - 2), QPointF(x + 4, y - 2), QPointF(x, y + 3)])
        )
