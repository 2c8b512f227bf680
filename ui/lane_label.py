"""A caption with the mark of its control's lane."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QWidget

from lmdm.live.messages import Lane
from ui import theme


class LaneLabel(QLabel):
    """Quiet text behind a small triangle (instant), square (block) or diamond (scene)."""

    def __init__(self, text: str, lane: Lane, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._lane = lane
        self.setObjectName("caption")
        self._measure()

    def _measure(self) -> None:
        self.setIndent(round(self.fontMetrics().height() * 0.78))

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 (Qt's name)
        """The mark grows with the letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._measure()

    def sizeHint(self) -> QSize:  # noqa: N802
        """The text and its mark."""
        return super().sizeHint() + QSize(2, 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """The text, then the mark."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LANE_COLOURS[self._lane]))
        line = self.fontMetrics().height()
        shape = theme.lane_shape(self._lane, 0.3 * line, self.height() / 2, 0.48 * line)
        painter.drawPolygon(shape)
