"""Pages behind tabs; where there is room, several pages side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ui import theme

PAGE_LINES = 20.0  # width of a page, in lines of text, from which another fits beside it


class Tabs(QWidget):
    """A row of tabs and the page chosen. `pages` are name, what it is for, and page."""

    def __init__(
        self, pages: Sequence[tuple[str, str, QWidget]], most: int = 1, tail: QWidget | None = None
    ) -> None:
        super().__init__()
        self._most = most  # pages side by side
        self._room = 1  # for how many there is room
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

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 (Qt's name)
        """More room shows more pages."""
        self._room = max(1, int(self.width() // (PAGE_LINES * self.fontMetrics().height())))
        self._show()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Of one page: those beside it give way when there is less room."""
        hints = [page.minimumSizeHint() for page in self._pages]
        head = self.buttons[0].sizeHint().height() + self._row.spacing()
        tabs = sum(button.minimumSizeHint().width() for button in self.buttons)
        wide = max(tabs, *(hint.width() for hint in hints))
        return QSize(wide, head + max(hint.height() for hint in hints))

    def _show(self) -> None:
        count = min(self._most, self._room)
        first = min(self.place, len(self._pages) - count)
        for index, page in enumerate(self._pages):
            shown = first <= index < first + count
            page.setVisible(shown)
            self._mark(self.buttons[index], shown and index != self.place)

    def _mark(self, button: QPushButton, beside: bool) -> None:
        """Whether a page stands beside the one chosen."""
        if bool(button.property("beside")) != beside:
            button.setProperty("beside", beside)
            style = button.style()
            if style is not None:
                style.polish(button)
