"""The first-run tour: five steps, each a light on one part of the panel and a few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, QPoint, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.overlay import Overlay

MARGIN = 8
CARD_LINES = 25.0  # width of the card, in lines of text


@dataclass(frozen=True)
class Step:
    """One stop: the part of the panel it is about, a title, and two sentences at most."""

    target: QWidget
    title: str
    text: str


class Tour(Overlay):
    """Walks through the steps; Enter or → goes on, ← goes back, Escape ends it."""

    finished = pyqtSignal()

    def __init__(self, parent: QWidget, steps: Sequence[Step]) -> None:
        super().__init__(parent, "Tour")
        self.steps = tuple(steps)
        self.place = 0
        self.card = QFrame(self)
        self.card.setObjectName("card")
        column = QVBoxLayout(self.card)
        column.setContentsMargins(18, 14, 18, 14)
        column.setSpacing(8)
        self.title, self.text, self.count = QLabel(), QLabel(), QLabel()
        self.title.setObjectName("title")
        self.count.setObjectName("quiet")
        self.text.setWordWrap(True)
        self.skip = QPushButton("Skip")
        self.skip.setObjectName("plain")
        self.back = QPushButton("Back")
        self.onward = QPushButton("Next")
        self.onward.setObjectName("main")
        theme.describe(self.skip, "Skip the tour", "It can be taken again from the menu.")
        theme.describe(self.back, "Back", "The step before.", None, "←")
        theme.describe(self.onward, "Next", "The next step.", None, "→ or Enter")
        self.skip.clicked.connect(self.close_overlay)
        self.back.clicked.connect(lambda: self.go(self.place - 1))
        self.onward.clicked.connect(lambda: self.go(self.place + 1))
        row = QHBoxLayout()
        row.addWidget(self.count)
        row.addStretch(1)
        for button in (self.skip, self.back, self.onward):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(button)
        column.addWidget(self.title)
        column.addWidget(self.text)
        column.addLayout(row)
        self.closed.connect(self.finished)

    def open(self) -> None:
        """Begins at the first step."""
        super().open()
        self.go(0)

    def go(self, place: int) -> None:
        """Shows a step; one past the last ends the tour."""
        if place >= len(self.steps):
            self.close_overlay()
            return
        self.place = max(0, place)
        step = self.steps[self.place]
        self.title.setText(step.title)
        self.text.setText(step.text)
        self.count.setText(f"{self.place + 1} of {len(self.steps)}")
        self.back.setEnabled(self.place > 0)
        last = self.place == len(self.steps) - 1
        self.onward.setText("Play" if last else "Next")
        self.setAccessibleDescription(f"{step.title}. {step.text}")
        self._put_card()
        self.update()

    def spotlight(self) -> QRectF:
        """Around the step's part of the panel."""
        target = self.steps[self.place].target
        if not target.isVisible():
            return QRectF()
        corner = target.mapTo(target.window(), QPoint(0, 0))
        corner = self.mapFrom(target.window(), corner)
        around = QRectF(corner.x(), corner.y(), target.width(), target.height())
        around = around.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN)
        return around.intersected(QRectF(self.rect()).adjusted(2, 2, -2, -2))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Goes on, back, or ends."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Right):
            self.go(self.place + 1)
        elif event.key() == Qt.Key.Key_Left:
            self.go(self.place - 1)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """A click beside the card goes on: nobody loses the tour by a slip."""
        self.go(self.place + 1)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keeps card and light in place."""
        super().eventFilter(watched, event)
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self._put_card()
        return False

    def _put_card(self) -> None:
        """Below the light if there is room, else above it, else in the middle."""
        wide = min(self.width() - 20, round(CARD_LINES * self.fontMetrics().height()))
        self.card.setFixedWidth(wide)
        self.card.adjustSize()
        tall = self.card.sizeHint().height()
        light = self.spotlight()
        x = min(max(light.center().x() - wide / 2, 10), self.width() - wide - 10)
        if light.isEmpty():
            x, y = (self.width() - wide) / 2, (self.height() - tall) / 2
        elif light.bottom() + tall + 14 < self.height():
            y = light.bottom() + 10
        elif light.top() - tall - 14 > 0:
            y = light.top() - tall - 10
        else:
            y = (self.height() - tall) / 2
        self.card.move(round(x), round(y))
