"""A dial: drag up and down, scroll, arrow keys, or double-click for its usual value."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QDial, QSizePolicy, QWidget

from lmdm.live.messages import Lane
from ui import theme

LARGEST_LINES = 6.5  # of text: the knob grows no larger
SWEEP = 270.0  # degrees from lowest to highest
DRAG_PIXELS = 180.0  # of vertical drag for the whole range; ten times as many with Shift


class Dial(QDial):
    """One number with a name, a lane mark and its value in words.

    `moved` carries the value when the musician changes it, never when `show_value` does. A value of
    None, if `absent` names it, means the model decides; it is set with `show_value(None)`.
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
        words: Callable[[float], str],
        absent: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.name, self.lane, self.usual = name, lane, usual
        self._low, self._step, self._words, self._absent = low, step, words, absent
        self._given: float | None = usual  # may lie outside the dial's range
        self._drag: tuple[float, float] | None = None  # y and position where the drag is
        self.setRange(0, round((high - low) / step))
        self.setPageStep(max(1, self.maximum() // 10))
        self.setValue(round((usual - low) / step))
        self.valueChanged.connect(self._changed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setFont(theme.font())
        theme.describe(self, name, what, lane, "arrows, Page Up, Page Down; double-click resets")

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

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Room for the knob and two lines of text."""
        line = self.fontMetrics().height()
        return QSize(round(5.6 * line), round(6.2 * line))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """A dial any smaller cannot be read."""
        line = self.fontMetrics().height()
        return QSize(round(4.4 * line), round(5.8 * line))

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
        self._place(round((self.usual - self._low) / self._step))

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
        above = self.height() - 1.5 * line  # of the name
        size = min(self.width() - 8.0, above - 6, LARGEST_LINES * line)
        knob = QRectF((self.width() - size) / 2, (above - size) / 2 + 2, size, size)
        ring = knob.adjusted(4, 4, -4, -4)
        share = self.value() / max(1, self.maximum())
        absent = self._given is None
        start = 90.0 + SWEEP / 2
        round_cap = Qt.PenCapStyle.RoundCap
        painter.setPen(QPen(theme.colour(theme.LINE), 5, cap=round_cap))
        painter.drawArc(ring, round(start * 16), round(-SWEEP * 16))
        if not absent:
            painter.setPen(QPen(theme.colour(theme.ACCENT), 5, cap=round_cap))
            painter.drawArc(ring, round(start * 16), round(-SWEEP * share * 16))
        if self.hasFocus():
            painter.setPen(QPen(theme.colour(theme.ACCENT, 0.7), 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.setPen(theme.colour(theme.QUIET if absent else theme.TEXT))
        words = self._absent if self._given is None else self._words(self._given)
        room = size - 24  # within the arc
        widest = painter.fontMetrics().horizontalAdvance(words)
        painter.setFont(theme.font(min(1.25, max(0.7, 0.9 * room / max(1, widest))), bold=True))
        painter.drawText(knob, Qt.AlignmentFlag.AlignCenter, words)
        painter.setFont(theme.font())
        width = painter.fontMetrics().horizontalAdvance(self.name)
        middle, base = self.width() / 2, self.height() - line / 2 - 2
        painter.setPen(theme.colour(theme.QUIET))
        painter.drawText(QPointF(middle - width / 2 + 7, base + line * 0.32), self.name)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.LANE_COLOURS[self.lane]))
        painter.drawPolygon(theme.lane_shape(self.lane, middle - width / 2 - 4, base, 8))
