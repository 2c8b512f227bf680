"""Pages behind tabs; where there is room, several pages side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ui import theme

PAGE_LINES = 24.0  # width of a page, in lines of text, from which another fits beside it


class Tabs(QWidget):
    """A row of tabs and the page chosen. `pages` are name, what it is for, and page."""

    turned = pyqtSignal(int)

    def __init__(
        self, pages: Sequence[tuple[str, str, QWidget]], most: int = 1, tail: QWidget | None = None
    ) -> None:
        super().__init__()
        self._most = most  # pages side by side
        self._pages = [page for _, _, page in pages]
        self.buttons: list[QPushButton] = []
        self._group = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.setSpacing(0)
        for index, (name, what, _) in enumerate(pages):
            button = QPushButton(name)
            button.setObjectName("tab")
            button.setCheckable(True)
            theme.describe(button, name, what)
            self._group.addButton(button, index)
            self.buttons.append(button)
            row.addWidget(button)
        row.addStretch(1)
        if tail is not None:
            row.addWidget(tail)
        column.addLayout(row)
        self._row = QHBoxLayout()
        self._row.setSpacing(18)
        for page in self._pages:
            self._row.addWidget(page, 1)
        column.addLayout(self._row, 1)
        self._group.idClicked.connect(self.turn)
        self.place = 0
        self.turn(0)

    def turn(self, place: int) -> None:
        """Shows a page, and those after it that fit beside it."""
        self.place = min(max(place, 0), len(self._pages) - 1)
        self.buttons[self.place].setChecked(True)
        self._show()
        self.turned.emit(self.place)

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 (Qt's name)
        """More room shows more pages."""
        self._show()

    def _show(self) -> None:
        line = self.fontMetrics().height()
        count = min(self._most, max(1, int(self.width() // (PAGE_LINES * line))))
        first = min(self.place, len(self._pages) - count)
        for index, page in enumerate(self._pages):
            page.setVisible(first <= index < first + count)
