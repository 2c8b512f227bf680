"""Level meters: level, peak, clip, and what the limiter takes away."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from ui import theme

FLOOR_DB, CEILING_DB = -60.0, 0.0
CLIP_DB = -0.3  # a peak at or above this lights the clip lamp; the limiter's ceiling is -1
FALL_DB = 0.35  # a frame: the peak line sinks 21 dB a second
LEVEL_FALL_DB = 1.2  # a frame: bars sink 72 dB a second, and rise at once
MOST_REDUCTION_DB = 12.0
MARKS_DB = (-48, -36, -24, -12, 0)
ZONES = (
    (FLOOR_DB, -12.0, theme.FRESH),
    (-12.0, -3.0, theme.WARNING),
    (-3.0, CEILING_DB, theme.ALARM),
)

Pair = tuple[float, float]


def share(level_db: float) -> float:
    """Where a level lies on the meter, 0 bottom to 1 top."""
    return min(max((level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0.0), 1.0)


class LevelMeter(QWidget):
    """Levels with peak lines that sink, a clip lamp, and the limiter's reduction from the top.

    What does not move (lamp, tracks, scale) is kept as a picture; a frame draws the bars only.
    """

    def __init__(self, name: str = "Output level", limiter: bool = True) -> None:
        super().__init__()
        self._level: Pair = (FLOOR_DB, FLOOR_DB)  # as shown
        self._peak: Pair = (FLOOR_DB, FLOOR_DB)
        self._target: Pair = (FLOOR_DB, FLOOR_DB)  # as reported
        self._target_peak: Pair = (FLOOR_DB, FLOOR_DB)
        self._limiter = limiter
        self._ground: QPixmap | None = None
        self._look = (1.0, False)  # pixel ratio and lamp of the ground
        self.reduction_db = 0.0
        self.clipped = False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        taken = " The orange bar from the top is what the limiter takes away." if limiter else ""
        theme.describe(
            self,
            name,
            f"Left and right: bar is level, line is peak.{taken} CLIP stays lit until you click.",
        )

    def show_levels(self, level: Pair, peak: Pair, reduction_db: float = 0.0) -> None:
        """Takes new levels, dB full scale."""
        clipped = self.clipped or max(peak) >= CLIP_DB
        if (clipped, reduction_db) != (self.clipped, self.reduction_db):
            self.update()
        self._target, self._target_peak = level, peak
        self.reduction_db, self.clipped = min(0.0, reduction_db), clipped

    def advance(self) -> None:
        """One frame: bars and peak lines rise at once and sink slowly."""
        level = _sunk(self._level, self._target, LEVEL_FALL_DB)
        peak = _sunk(self._peak, self._target_peak, FALL_DB)
        if (level, peak) != (self._level, self._peak):
            self._level, self._peak = level, peak
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Two bars, a reduction bar and a scale."""
        return QSize(round(self.fontMetrics().height() * (4.4 if self._limiter else 2.2)), 110)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Low, yet still a meter."""
        return QSize(self.sizeHint().width(), 60)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Puts the clip lamp out."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clipped = False
            self._ground = None
            self.update()

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802
        """What stands still is drawn anew."""
        self._ground = None

    def _boxes(self) -> tuple[QRectF, list[QRectF]]:
        """The lamp, and the tracks: left, right, and the limiter's."""
        line = self.fontMetrics().height()
        lamp = QRectF(1, 1, self.width() - 2, round(line * 1.1))
        top, tall = lamp.bottom() + 4, self.height() - lamp.bottom() - 6
        wide = round(line * 0.85)
        boxes = [QRectF(1 + index * (wide + 3), top, wide, tall) for index in range(2)]
        if self._limiter:
            boxes.append(QRectF(1 + 2 * (wide + 3), top, round(wide * 0.5), tall))
        return lamp, boxes

    def _still(self) -> QPixmap:
        """Lamp, tracks and scale."""
        ratio = self.devicePixelRatioF()
        ground = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        ground.setDevicePixelRatio(ratio)
        ground.fill(theme.colour(theme.PANEL))
        painter = QPainter(ground)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        lamp, boxes = self._boxes()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.ALARM if self.clipped else theme.WELL))
        painter.drawRoundedRect(lamp, 3, 3)
        painter.setPen(theme.colour(theme.GROUND if self.clipped else theme.FAINT))
        painter.setFont(theme.font(0.75, bold=True))
        painter.drawText(lamp, Qt.AlignmentFlag.AlignCenter, "CLIP")
        for box in boxes:
            painter.fillRect(box, theme.colour(theme.WELL))
        if self._limiter:
            self._draw_scale(painter, boxes[0].top(), boxes[0].height(), boxes[-1].right() + 3)
        painter.end()
        return ground

    def _draw_scale(self, painter: QPainter, top: float, tall: float, left: float) -> None:
        painter.setFont(theme.font(0.72))
        painter.setPen(theme.colour(theme.QUIET))
        line = painter.fontMetrics().height()
        crowded = tall * 12 / -FLOOR_DB < line * 0.9
        for mark in MARKS_DB:
            if crowded and mark % 24:
                continue
            y = top + tall * (1 - share(mark))
            y = min(max(y, top + line * 0.4), top + tall - line * 0.4)
            row = QRectF(left, y - line / 2, self.width() - left - 1, line)
            right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(row, right, str(mark).replace("-", "−"))

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """What stands still, then the bars."""
        look = (self.devicePixelRatioF(), self.clipped)
        if self._ground is None or self._look != look:
            self._ground, self._look = self._still(), look
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._ground)
        _, boxes = self._boxes()
        for box, level, peak in zip(boxes, self._level, self._peak, strict=False):
            _draw_bar(painter, box, level, peak)
        if self._limiter and self.reduction_db < 0.0:
            taken = min(1.0, -self.reduction_db / MOST_REDUCTION_DB)
            box = boxes[2]
            painter.fillRect(
                QRectF(box.left(), box.top(), box.width(), box.height() * taken),
                theme.colour(theme.WARNING),
            )


def _sunk(shown: Pair, reported: Pair, fall: float) -> Pair:
    """Levels a frame later."""
    left, right = (max(s - fall, r, FLOOR_DB) for s, r in zip(shown, reported, strict=True))
    return left, right


def _draw_bar(painter: QPainter, box: QRectF, level: float, peak: float) -> None:
    for low, high, tint in ZONES:
        start, end = share(low), min(share(high), share(level))
        if end > start:
            y = box.bottom() - box.height() * end
            part = QRectF(box.left(), y, box.width(), box.height() * (end - start))
            painter.fillRect(part, theme.colour(tint))
    if peak > FLOOR_DB:
        y = round(box.bottom() - box.height() * share(peak))
        painter.fillRect(QRectF(box.left(), y - 1, box.width(), 2), theme.colour(theme.TEXT))
