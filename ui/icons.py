"""Small pictures for buttons, strokes on a grid of 24: sharp at any size, in any colour."""

from __future__ import annotations

from functools import lru_cache

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from ui import theme

GRID = 24.0


def _line(*points: tuple[float, float]) -> QPainterPath:
    path = QPainterPath()
    path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
    return path


def _shape(*points: tuple[float, float]) -> QPainterPath:
    path = _line(*points)
    path.closeSubpath()
    return path


def _rounded(x: float, y: float, wide: float, tall: float, radius: float) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(QRectF(x, y, wide, tall), radius, radius)
    return path


def _disc(x: float, y: float, radius: float) -> QPainterPath:
    path = QPainterPath()
    path.addEllipse(QPointF(x, y), radius, radius)
    return path


def _arc(box: QRectF, start: float, sweep: float) -> QPainterPath:
    path = QPainterPath()
    path.arcMoveTo(box, start)
    path.arcTo(box, start, sweep)
    return path


def _three_lines() -> QPainterPath:
    path = QPainterPath()
    for turn in range(3):
        bar = QPainterPath()
        y = 6.0 + 6.0 * turn
        bar.moveTo(3, y)
        bar.lineTo(21, y)
        path.addPath(bar)
    return path


# name -> what is stroked, what is filled
PICTURES: dict[str, tuple[list[QPainterPath], list[QPainterPath]]] = {
    "undo": (
        [
            _line((8, 5), (4, 9), (8, 13)),
            _arc(QRectF(8, 9, 11, 10), 90, -180),
            _line((4, 9), (13.5, 9)),
            _line((8, 19), (13.5, 19)),
        ],
        [],
    ),
    "redo": (
        [
            _line((16, 5), (20, 9), (16, 13)),
            _arc(QRectF(5, 9, 11, 10), 90, 180),
            _line((20, 9), (10.5, 9)),
            _line((16, 19), (10.5, 19)),
        ],
        [],
    ),
    "locked": (
        [
            _rounded(5, 11, 14, 9, 2),
            _arc(QRectF(8, 4, 8, 12), 0, 180),
            _line((8, 10), (8, 11)),
            _line((16, 10), (16, 11)),
        ],
        [_disc(12, 15.5, 1.4)],
    ),
    "unlocked": (
        [_rounded(5, 11, 14, 9, 2), _arc(QRectF(8, 3, 8, 12), 35, 145), _line((8, 9), (8, 11))],
        [_disc(12, 15.5, 1.4)],
    ),
    "sliders": ([_three_lines()], [_disc(8, 6, 2.6), _disc(16, 12, 2.6), _disc(10, 18, 2.6)]),
    "full screen": (
        [
            _line((4, 9), (4, 4), (9, 4)),
            _line((15, 4), (20, 4), (20, 9)),
            _line((20, 15), (20, 20), (15, 20)),
            _line((9, 20), (4, 20), (4, 15)),
        ],
        [],
    ),
    "rewind": ([_line((5, 5), (5, 19))], [_shape((20, 5), (20, 19), (9, 12))]),
    "folder": ([_shape((3, 19), (3, 5), (9, 5), (11, 8), (21, 8), (21, 19))], []),
    "play": ([], [_shape((7, 4), (20, 12), (7, 20))]),
    "stop": ([], [_rounded(6, 6, 12, 12, 1.5)]),
    "record": ([], [_disc(12, 12, 6.5)]),
    "wave": (
        [
            _line((3, 12), (6, 12)),
            _line((8, 7), (8, 17)),
            _line((12, 4), (12, 20)),
            _line((16, 8), (16, 16)),
            _line((18, 12), (21, 12)),
        ],
        [],
    ),
}


@lru_cache(maxsize=256)
def pixmap(name: str, side: int, tint: str, ratio: float = 2.0) -> QPixmap:
    """A picture of `side` logical pixels in a colour; drawn once. Raises KeyError if unknown."""
    strokes, fills = PICTURES[name]
    made = QPixmap(round(side * ratio), round(side * ratio))
    made.setDevicePixelRatio(ratio)
    made.fill(QColor(0, 0, 0, 0))
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(side / GRID, side / GRID)
    painter.setPen(
        QPen(theme.colour(tint), 2.0, cap=Qt.PenCapStyle.RoundCap, join=Qt.PenJoinStyle.RoundJoin)
    )
    for path in strokes:
        painter.drawPath(path)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour(tint))
    for path in fills:
        painter.drawPath(path)
    painter.end()
    return made


def icon(name: str, side: int = 20, tint: str = theme.TEXT, on: str = "") -> QIcon:
    """A button's icon; `on` is its colour while the button is checked."""
    made = QIcon(pixmap(name, side, tint))
    made.addPixmap(pixmap(name, side, theme.LINE), QIcon.Mode.Disabled)
    if on:
        made.addPixmap(pixmap(name, side, on), QIcon.Mode.Normal, QIcon.State.On)
    return made
