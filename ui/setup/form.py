"""Rows of a set-up page: a name, a control, and a line that explains."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget


class Form(QWidget):
    """Names to the left, controls to the right, words across."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(4, 10, 12, 10)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(9)
        self._grid.setColumnStretch(1, 1)
        self._row = 0

    def add(self, name: str, control: QWidget) -> None:
        """A named control."""
        label = QLabel(name)
        label.setObjectName("quiet")
        label.setBuddy(control)
        tall = isinstance(control, QLabel)  # its words may take several lines
        place = Qt.AlignmentFlag.AlignTop if tall else Qt.AlignmentFlag.AlignVCenter
        self._grid.addWidget(label, self._row, 0, Qt.AlignmentFlag.AlignRight | place)
        self._grid.addWidget(control, self._row, 1)
        self._row += 1

    def tell(self, words: str = "") -> QLabel:
        """A line of explanation under the control above; its words may change."""
        label = QLabel(words)
        label.setObjectName("quiet")
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        self._grid.addWidget(label, self._row, 1)
        self._row += 1
        return label

    def wide(self, control: QWidget) -> None:
        """A control across the whole page."""
        self._grid.addWidget(control, self._row, 0, 1, 2)
        self._row += 1

    def end(self) -> None:
        """What is left of the page stays free."""
        self._grid.setRowStretch(self._row, 1)


def set_text(label: QLabel, words: str) -> None:
    """Words, without a repaint when they are the same."""
    if label.text() != words:
        label.setText(words)
