"""A dial: drag up and down, scroll, arrow keys, or double-click for its usual value."""

from __future__ import annotations

import math
from collections.abc import Callable

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QDial, QSizePolicy, QWidget

from lmdm.live.messages import Lane
from ui import theme

LARGEST_LINES = 6.5  # of text: the knob grows no larger
SWEEP = 270.0  # degrees from lowest to highest
DRAG_PIXELS = 180.0  # of vertical drag for the whole range; ten times as many with Shift


class Dial(QDial):
    """One number with a name, a lane mark and its value in words.

    `moved` carries the value when the musician changes it, never when `show_value` does. A value of
    None, if `absent` names it, means the model decides: double-click, or Delete, gives it.
    """

    moved = pyqtSignal(object)  # float or None

    def __init__(
        self,
        name: str,
        what: str,
        lane: Lane,
        low: float,
        high: float,
        step: float,
        usual: float,
        words: Callable[[float], str],
        absent: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.name, self.lane, self.usual = name, lane, usual
        self._low, self._step, self._words, self._absent = low, step, words, absent
        self._given: float | None = usual  # may lie outside the dial's range
        self._drag: tuple[float, float] | None = None  # y and position where the drag is
        self.ghost: float | None = None  # where a controller stands that has not picked it up, 0–1
        self.heard = True
        self.setRange(0, round((high - low) / step))
        self.setPageStep(max(1, self.maximum() // 10))
        self.setValue(round((usual - low) / step))
        self.valueChanged.connect(self._changed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        theme.describe(
            self, name, what, lane, "arrows, Page Up, Page Down; double-click or Delete resets"
        )

    @property
    def number(self) -> float | None:
        """The value shown; None when the model decides."""
        return self._given

    def show_value(self, number: float | None) -> None:
        """Shows a value without reporting it; one beyond the dial's range is told in words."""
        if number == self._given:
            return
        self._given = number
        if number is not None:
            self.blockSignals(True)
            self.setValue(round((number - self._low) / self._step))
            self.blockSignals(False)
        self.update()

    def show_ghost(self, number: float | None) -> None:
        """Shows where a controller stands that must first reach the value; None: nowhere."""
        span = self.maximum() * self._step
        share = None if number is None else min(max((number - self._low) / span, 0.0), 1.0)
        if share != self.ghost:
            self.ghost = share
            self.update()

    def show_heard(self, heard: bool) -> None:
        """Whether the model hears this control itself; if not, it is asked some other way."""
        if heard != self.heard:
            self.heard = heard
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Room for the knob and two lines of text."""
        line = self.fontMetrics().height()
        return QSize(round(5.2 * line), round(5.6 * line))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """A dial any smaller cannot be read."""
        line = self.fontMetrics().height()
        return QSize(round(4.0 * line), round(4.6 * line))

    def _changed(self, position: int) -> None:
        self._given = round(self._low + position * self._step, 6)
        self.update()
        self.moved.emit(self._given)

    def _place(self, position: int) -> None:
        """Moves to a position; from None, also to the one it already stands on."""
        if self._given is None and position == self.value():
            self._changed(position)
        else:
            self.setValue(position)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Begins a drag."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._drag = (event.position().y(), float(self.value()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Upwards is more."""
        if event is None or self._drag is None:
            return
        y, place = self._drag
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        moved = (y - event.position().y()) * self.maximum() / (DRAG_PIXELS * (10 if fine else 1))
        place = min(max(place + moved, 0.0), float(self.maximum()))
        self._drag = (event.position().y(), place)
        self._place(round(place))

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Ends a drag."""
        self._drag = None

    def mouseDoubleClickEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Back to the usual value."""
        self._drag = None
        self.reset()

    def reset(self) -> None:
        """Back to the usual value; where the model can decide, it does."""
        if self._absent:
            if self._given is not None:
                self.show_value(None)
                self.moved.emit(None)
        else:
            self._place(round((self.usual - self._low) / self._step))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Delete and Backspace reset; arrows and pages move; a key from None gives the dial's."""
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.reset()
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """One step a notch."""
        if event is not None and event.angleDelta().y():
            self._place(self.value() + (1 if event.angleDelta().y() > 0 else -1))
            event.accept()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """The knob as an arc and a pointer, its value within, its name below."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        size = min(self.width() - 6.0, self.height() - 1.4 * line, LARGEST_LINES * line)
        top = (self.height() - size - 1.4 * line) / 2
        knob = QRectF((self.width() - size) / 2, top, size, size)
        self._draw_ring(painter, knob, line)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour(theme.ACCENT, 0.7), 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        absent = self._given is None or not self.isEnabled()
        painter.setPen(theme.colour(theme.QUIET if absent else theme.TEXT))
        words = self._absent if self._given is None else self._words(self._given)
        room = size - 1.4 * line  # within the arc
        widest = painter.fontMetrics().horizontalAdvance(words)
        painter.setFont(theme.font(min(1.2, max(0.7, 0.9 * room / max(1, widest))), bold=True))
        painter.drawText(knob, Qt.AlignmentFlag.AlignCenter, words)
        self._draw_name(painter, knob.bottom() + 0.65 * line)

    def _draw_ring(self, painter: QPainter, knob: QRectF, line: float) -> None:
        thick = max(3.0, 0.3 * line)
        ring = knob.adjusted(thick, thick, -thick, -thick)
        share = self.value() / max(1, self.maximum())
        start = 90.0 + SWEEP / 2
        cap = Qt.PenCapStyle.RoundCap
        track = QPen(theme.colour(theme.LINE), thick, cap=cap)
        if not self.heard:  # a broken ring: the model has no such control
            track = QPen(theme.colour(theme.LINE), thick, Qt.PenStyle.DotLine)
        painter.setPen(track)
        painter.drawArc(ring, round(start * 16), round(-SWEEP * 16))
        if self._given is not None:
            tint = theme.colour(theme.ACCENT if self.isEnabled() else theme.FAINT)
            painter.setPen(QPen(tint, thick, cap=cap))
            painter.drawArc(ring, round(start * 16), round(-SWEEP * share * 16))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.TEXT))
            painter.drawEllipse(_on_ring(ring, share), 0.62 * thick, 0.62 * thick)
        if self.ghost is not None:
            painter.setBrush(theme.colour(theme.PANEL))
            painter.setPen(QPen(theme.colour(theme.WARNING), 1.6))
            painter.drawEllipse(_on_ring(ring, self.ghost), 0.75 * thick, 0.75 * thick)

    def _draw_name(self, painter: QPainter, base: float) -> None:
        line = self.fontMetrics().height()
        room = self.width() - 1.1 * line
        widest = self.fontMetrics().horizontalAdvance(self.name)
        painter.setFont(theme.font(max(0.74, min(0.92, room / max(1, widest)))))
        metrics = painter.fontMetrics()
        shown = metrics.elidedText(self.name, Qt.TextElideMode.ElideRight, round(room) + 2)
        width = metrics.horizontalAdvance(shown)
        middle = self.width() / 2
        painter.setPen(theme.colour(theme.QUIET))
        painter.drawText(QPointF(middle - width / 2 + 6, base + line * 0.3), shown)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LANE_COLOURS[self.lane]))
        painter.drawPolygon(theme.lane_shape(self.lane, middle - width / 2 - 4, base, 7))


def _on_ring(ring: QRectF, share: float) -> QPointF:
    """The place on a dial's arc, 0 lowest to 1 highest."""
    angle = math.radians(90.0 + SWEEP / 2 - SWEEP * share)
    radius = ring.width() / 2
    return ring.center() + QPointF(math.cos(angle) * radius, -math.sin(angle) * radius)
