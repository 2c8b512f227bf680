"""A caption with the mark of its control's lane."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
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
        self.setIndent(13)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """The text and its mark."""
        return super().sizeHint() + QSize(2, 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """The text, then the mark."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LANE_COLOURS[self._lane]))
        painter.drawPolygon(theme.lane_shape(self._lane, 5.0, self.height() / 2, 8))
