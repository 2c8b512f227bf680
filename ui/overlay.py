"""Something laid over the whole window for a moment: help, the tour. The music goes on beneath."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent
from PyQt6.QtWidgets import QWidget

from ui import theme

DIM = 0.72  # how dark what lies beneath becomes


class Overlay(QWidget):
    """Covers its parent and follows its size. Escape, or a click beside its card, closes it."""

    closed = pyqtSignal()

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._before: QWidget | None = None  # what had the keyboard
        self.hide()
        parent.installEventFilter(self)

    def open(self) -> None:
        """Shows itself above everything and takes the keyboard."""
        parent = self.parentWidget()
        assert parent is not None
        self._before = parent.window().focusWidget()  # type: ignore[union-attr]
        self.setGeometry(parent.rect())
        self.show()
        self.raise_()
        self.setFocus()

    def close_overlay(self) -> None:
        """Goes away and gives the keyboard back."""
        if not self.isVisible():
            return
        self.hide()
        if self._before is not None and self._before.isVisible():
            self._before.setFocus()
        self.closed.emit()

    def spotlight(self) -> QRectF:
        """What stays bright; empty for nothing."""
        return QRectF()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Follows the parent's size."""
        if event is not None and event.type() == QEvent.Type.Resize and watched is self.parent():
            self.setGeometry(self.parentWidget().rect())  # type: ignore[union-attr]
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Escape closes; nothing reaches what lies beneath."""
        if event is not None and event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Question):
            self.close_overlay()

    def mousePressEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """A click beside the card closes."""
        self.close_overlay()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Dims everything but the spotlight."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = QPainterPath()
        shade.addRect(QRectF(self.rect()))
        light = self.spotlight()
        if not light.isEmpty():
            hole = QPainterPath()
            hole.addRoundedRect(light, 10, 10)
            shade = shade.subtracted(hole)
        painter.fillPath(shade, theme.colour("#000000", DIM))
        if not light.isEmpty():
            painter.setPen(theme.colour(theme.ACCENT))
            painter.drawRoundedRect(light, 10, 10)
