"""The blend surface: drag a point between the prompts."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import (
    QAction,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PyQt6.QtWidgets import QMenu, QSizePolicy, QWidget

from lmdm.live.messages import BeginLearn, SetPad, Snapshot
from ui import blend, theme
from ui.learn import teach
from ui.prompts import PromptPads
from ui.stage import Stage

MOST = 6  # prompts on the surface
KEY_STEP = 0.04  # of the surface's width, an arrow key
GROUND_PIXELS = 48  # side of the small picture of blended colours that is stretched over it
ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class BlendSurface(QWidget):
    """Two prompts lie at the ends of a line, three to six at the corners of a surface; the point
    between weighs them (`SetPad`). Fewer: nothing to blend.
    """

    def __init__(self, stage: Stage, pads: PromptPads) -> None:
        super().__init__()
        self._stage = stage
        self._pads = pads
        self._letters: tuple[int, ...] = ()  # which pads lie on the surface
        self.point: blend.Point = (0.5, 0.5)
        self._dragging = False
        self.ghost: blend.Point | None = None  # where a controller stands that must pass the point
        self._ground: tuple[object, QPixmap] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        theme.describe(
            self,
            "Blend surface",
            "Drag towards a letter for more of that prompt.",
            "block",
            "arrows; Shift for small steps; Home for the middle",
        )
        teach(self, "set_pad:x", "Blend, left to right", long_press=False)
        self.extend_menu = self._extend_menu
        stage.changed.connect(self.show_snapshot)

    def _extend_menu(self, menu: QMenu) -> None:
        """The surface has a second axis to learn."""
        learn = QAction("Learn a MIDI controller for up and down…", menu)
        learn.triggered.connect(lambda: self._stage.send(BeginLearn("set_pad:y")))
        menu.insertAction(menu.actions()[2] if len(menu.actions()) > 2 else None, learn)

    @property
    def count(self) -> int:
        """How many prompts lie on the surface."""
        return len(self._letters)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Puts the point where the weights, or the crossfade, say."""
        worded = [index for index, pad in enumerate(self._pads.pads) if pad.prompt[0]]
        letters = tuple(worded[:MOST]) if len(worded) > 1 else ()
        point = self.point
        if not self._dragging and letters:
            point = snapshot.pad or blend.point_of(
                blend.shares(snapshot.prompts, snapshot.blend)[: len(letters)]
            )
            point = blend.nearest(point, len(letters))
        if letters != self._letters or point != self.point:
            self._letters, self.point = letters, point
            self.update()

    def go(self, x: float, y: float) -> None:
        """Moves the point to (x, y) of the unit square and sends what that means."""
        if self.count < 2:
            return
        x, y = blend.nearest((min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)), self.count)
        self.point = (x, y)
        self._stage.send_latest(SetPad((round(x, 4), round(y, 4))))
        self.update()

    def show_ghost(self, x: float | None, y: float | None) -> None:
        """Where controllers stand that must first pass the point; None: nowhere."""
        shown = (self.point[0] if x is None else x, self.point[1] if y is None else y)
        ghost = None if x is None and y is None else shown
        if ghost != self.ghost:
            self.ghost = ghost
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """About square."""
        return QSize(220, 200)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Large enough to aim on."""
        return QSize(150, 120)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Takes the point."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton and self.count:
            self._dragging = True
            self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Drags it."""
        if event is not None and self._dragging:
            self._follow(event)

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Lets it go."""
        self._dragging = False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Arrows move the point, Home centres it."""
        if event is None:
            return
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        step = KEY_STEP * (0.25 if fine else 1.0)
        key = Qt.Key(event.key())
        if key in ARROWS:
            dx, dy = ARROWS[key]
            self.go(self.point[0] + dx * step, self.point[1] + dy * step)
        elif key == Qt.Key.Key_Home:
            self.go(0.5, 0.5)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802
        """The ground is drawn anew."""
        self._ground = None

    def _field(self) -> QRectF:
        """Where the unit square lies in the widget."""
        edge = self.fontMetrics().height() * 1.3
        if self.count == 2:
            tall = self.fontMetrics().height() * 3.0
            return QRectF(edge, (self.height() - tall) / 2, self.width() - 2 * edge, tall)
        return QRectF(self.rect()).adjusted(edge, edge, -edge, -edge)

    def _follow(self, event: QMouseEvent) -> None:
        field = self._field()
        x = (event.position().x() - field.left()) / max(1.0, field.width())
        y = (event.position().y() - field.top()) / max(1.0, field.height())
        self.go(x, y)

    def _mixture(self) -> QImage:
        """A small picture of the prompts' colours, mixed by weight at each place."""
        side = GROUND_PIXELS
        place = np.linspace(0.0, 1.0, side)
        points = np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2)
        tints = [theme.colour(theme.PROMPT_COLOURS[index]) for index in self._letters]
        colours = np.array([[c.redF(), c.greenF(), c.blueF()] for c in tints])
        mixed = 0.05 + 0.42 * blend.weights_over(points, self.count) @ colours
        levels = np.round(255 * mixed).astype(np.uint32) << np.array([16, 8, 0], np.uint32)
        pixels = np.ascontiguousarray(levels.sum(axis=1, dtype=np.uint32))
        return QImage(pixels.tobytes(), side, side, QImage.Format.Format_RGB32).copy()

    def _still(self) -> QPixmap:
        """What does not move: mixed colours, their edge, the letters. Made once for a size."""
        line = self.fontMetrics().height()
        look = (self._letters, self.hasFocus(), self.devicePixelRatioF(), line)
        if self._ground is not None and self._ground[0] == look:
            return self._ground[1]
        ratio = self.devicePixelRatioF()
        ground = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        ground.setDevicePixelRatio(ratio)
        ground.fill(theme.colour(theme.PANEL))
        painter = QPainter(ground)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        field = self._field()
        places = [
            QPointF(field.left() + x * field.width(), field.top() + y * field.height())
            for x, y in blend.corners(self.count)
        ]
        shape = QPainterPath()
        if self.count in (2, 4):
            shape.addRoundedRect(field, 8, 8)
        else:
            shape.addPolygon(QPolygonF(places))
            shape.closeSubpath()
        painter.save()
        painter.setClipPath(shape)
        painter.drawImage(field, self._mixture())
        painter.restore()
        edge = theme.ACCENT if self.hasFocus() else theme.LINE
        painter.setPen(QPen(theme.colour(edge), 1))
        painter.drawPath(shape)
        self._draw_letters(painter, places)
        painter.end()
        self._ground = (look, ground)
        return ground

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """The ground with its letters, and the point."""
        painter = QPainter(self)
        if self.count < 2:
            painter.fillRect(self.rect(), theme.colour(theme.PANEL))
            painter.setPen(theme.colour(theme.QUIET))
            words = "Write two or more prompts\nand blend them here"
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            return
        painter.drawPixmap(0, 0, self._still())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_point(painter, self._field())

    def _draw_letters(self, painter: QPainter, places: list[QPointF]) -> None:
        radius = self.fontMetrics().height() * 0.62
        painter.setFont(theme.font(1.0, bold=True))
        for index, place in zip(self._letters, places, strict=True):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.PROMPT_COLOURS[index]))
            disc = QRectF(place.x() - radius, place.y() - radius, 2 * radius, 2 * radius)
            painter.drawEllipse(disc)
            painter.setPen(theme.colour(theme.GROUND))
            painter.drawText(disc, Qt.AlignmentFlag.AlignCenter, theme.PROMPT_LETTERS[index])

    def _draw_point(self, painter: QPainter, field: QRectF) -> None:
        if self.ghost is not None:
            place = field.topLeft() + QPointF(
                self.ghost[0] * field.width(), self.ghost[1] * field.height()
            )
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour(theme.WARNING), 1.6))
            painter.drawEllipse(place, 7, 7)
        x = field.left() + self.point[0] * field.width()
        y = field.center().y() if self.count == 2 else field.top() + self.point[1] * field.height()
        painter.setPen(QPen(theme.colour(theme.GROUND), 5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(x, y), 10, 10)
        painter.setPen(QPen(theme.colour(theme.TEXT), 2.5))
        painter.drawEllipse(QPointF(x, y), 10, 10)
        painter.setBrush(theme.colour(theme.TEXT))
        painter.drawEllipse(QPointF(x, y), 2, 2)
