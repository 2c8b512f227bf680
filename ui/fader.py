"""A horizontal or vertical fader, drawn as a filled track."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QSlider, QWidget

from lmdm.live.messages import Lane
from ui import theme


class Fader(QSlider):
    """One number from `low` to `high`: click or drag anywhere, scroll, or use the arrow keys.

    `moved` carries the value when the musician changes it, never when `show_value` does.
    Double-click gives `usual`.
    """

    moved = pyqtSignal(float)

    def __init__(
        self,
        name: str,
        what: str,
        lane: Lane,
        low: float,
        high: float,
        step: float,
        usual: float,
        orientation: Qt.Orientation = Qt.Orientation.Horizontal,
        tint: str = theme.ACCENT,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(orientation, parent)
        self.tint = tint
        self._low, self._step, self._usual = low, step, usual
        self._dragging = False
        self.ghost: float | None = None  # where a controller stands that has not picked it up, 0–1
        self.setRange(0, round((high - low) / step))
        self.setPageStep(max(1, self.maximum() // 10))
        self.setValue(self._position(usual))
        self.valueChanged.connect(self._changed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        expand, fixed = QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        flat = orientation == Qt.Orientation.Horizontal
        self.setSizePolicy(*((expand, fixed) if flat else (fixed, expand)))
        theme.describe(self, name, what, lane, "arrows, Page Up, Page Down; double-click resets")

    @property
    def number(self) -> float:
        """The value shown."""
        return round(self._low + self.value() * self._step, 6)

    def show_value(self, number: float) -> None:
        """Shows a value without reporting it."""
        place = self._position(number)
        if place != self.value() and not self._dragging:
            self.blockSignals(True)
            self.setValue(place)
            self.blockSignals(False)
            self.update()

    def show_ghost(self, number: float | None) -> None:
        """Shows where a controller stands that must first reach the value; None: nowhere."""
        span = self.maximum() * self._step
        share = None if number is None else min(max((number - self._low) / span, 0.0), 1.0)
        if share != self.ghost:
            self.ghost = share
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """A track as thick as a line of text."""
        thick = round(self.fontMetrics().height() * 1.3)
        flat = self.orientation() == Qt.Orientation.Horizontal
        return QSize(120, thick) if flat else QSize(thick, 120)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Short, yet still a fader."""
        thick = round(self.fontMetrics().height() * 1.1)
        flat = self.orientation() == Qt.Orientation.Horizontal
        return QSize(60, thick) if flat else QSize(thick, 60)

    def _position(self, number: float) -> int:
        return round((number - self._low) / self._step)

    def _changed(self) -> None:
        self.update()
        self.moved.emit(self.number)

    def _follow(self, event: QMouseEvent) -> None:
        if self.orientation() == Qt.Orientation.Horizontal:
            share = event.position().x() / max(1, self.width() - 1)
        else:
            share = 1.0 - event.position().y() / max(1, self.height() - 1)
        self.setValue(round(min(max(share, 0.0), 1.0) * self.maximum()))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Goes where it is touched."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._dragging = True
            self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Follows the pointer."""
        if event is not None and self._dragging:
            self._follow(event)

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Lets go."""
        self._dragging = False

    def mouseDoubleClickEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Back to the usual value."""
        self._dragging = False
        self.setValue(self._position(self._usual))

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """A track, filled up to a bright edge."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        share = self.value() / max(1, self.maximum())
        if self.orientation() == Qt.Orientation.Horizontal:
            full = QRectF(box.left(), box.top(), box.width() * share, box.height())
            edge = QRectF(full.right() - 3, box.top(), 3, box.height())
        else:
            tall = box.height() * share
            full = QRectF(box.left(), box.bottom() - tall, box.width(), tall)
            edge = QRectF(box.left(), full.top(), box.width(), 3)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.WELL))
        painter.drawRoundedRect(box, 5, 5)
        painter.setBrush(theme.colour(self.tint, 0.45 if self.isEnabled() else 0.12))
        painter.drawRoundedRect(full, 5, 5)
        painter.setBrush(theme.colour(self.tint, 1.0 if self.isEnabled() else 0.25))
        painter.drawRoundedRect(edge, 1.5, 1.5)
        if self.ghost is not None:
            self._draw_ghost(painter, box, self.ghost)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.colour(theme.ACCENT if self.hasFocus() else theme.LINE), 1))
        painter.drawRoundedRect(box, 5, 5)

    def _draw_ghost(self, painter: QPainter, box: QRectF, share: float) -> None:
        """A hollow line where the controller stands."""
        if self.orientation() == Qt.Orientation.Horizontal:
            x = box.left() + box.width() * share
            bar = QRectF(min(max(x - 2.5, box.left()), box.right() - 5), box.top(), 5, box.height())
        else:
            y = box.bottom() - box.height() * share
            bar = QRectF(box.left(), min(max(y - 2.5, box.top()), box.bottom() - 5), box.width(), 5)
        painter.setBrush(theme.colour(theme.WELL))
        painter.setPen(QPen(theme.colour(theme.WARNING), 1.4))
        painter.drawRoundedRect(bar, 2, 2)
