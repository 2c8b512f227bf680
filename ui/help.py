"""The list of keys under `?`."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from lmdm.live.messages import Lane
from ui.lane_label import LaneLabel
from ui.overlay import Overlay
from ui.shortcuts import GROUPS, Group

LANES: tuple[tuple[Lane, str], ...] = (
    ("instant", "at once, in the sound itself"),
    ("block", "from the next piece of music made"),
    ("scene", "on the next beat, bar or phrase"),
)

HINT = "Right-click or long-press a control to learn a MIDI knob for it. Esc closes this list."


class ShortcutsHelp(Overlay):
    """Groups of keys side by side, and what the three lane marks mean."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "Keyboard shortcuts")
        self.card = QFrame(self)
        self.card.setObjectName("card")
        outer = QVBoxLayout(self.card)
        outer.setContentsMargins(22, 16, 22, 16)
        outer.setSpacing(12)
        title = QLabel("Keys")
        title.setObjectName("title")
        outer.addWidget(title)
        inner = QWidget()
        columns = QHBoxLayout(inner)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(26)
        for group in GROUPS:
            columns.addLayout(_column(group))
        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        outer.addWidget(scroll, 1)
        outer.addWidget(_lanes())
        outer.addWidget(_quiet(HINT))
        self._inner = inner

    def open(self) -> None:
        """Fits the card into the window."""
        super().open()
        self._place()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keeps the card in the middle."""
        super().eventFilter(watched, event)
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def _place(self) -> None:
        wanted = self._inner.sizeHint()
        rest = self.card.sizeHint() - self.card.findChild(QScrollArea).sizeHint()
        wide = min(self.width() - 24, max(wanted.width() + 60, rest.width()))
        tall = min(self.height() - 24, wanted.height() + rest.height() + 30)
        self.card.setGeometry((self.width() - wide) // 2, (self.height() - tall) // 2, wide, tall)


def _column(group: Group) -> QVBoxLayout:
    column = QVBoxLayout()
    name = QLabel(group.name)
    name.setObjectName("caption")
    name.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    column.addWidget(name)
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(6)
    for row, shortcut in enumerate(group.shortcuts):
        key = QLabel(shortcut.keys)
        key.setObjectName("key")
        grid.addWidget(key, row, 0, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(QLabel(shortcut.what), row, 1)
    column.addLayout(grid)
    column.addStretch(1)
    return column


def _lanes() -> QWidget:
    """What the three marks mean."""
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(18)
    for lane, words in LANES:
        line.addWidget(LaneLabel(f"{lane}: {words}", lane))
    line.addStretch(1)
    return row


def _quiet(words: str) -> QLabel:
    label = QLabel(words)
    label.setObjectName("quiet")
    label.setWordWrap(True)
    return label
