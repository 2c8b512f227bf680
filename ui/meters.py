"""Output meters: level, peak, clip and what the limiter takes away; and the output gain."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from lmdm.live.messages import SetGain, Snapshot
from ui import theme
from ui.fader import Fader
from ui.lane_label import LaneLabel
from ui.stage import Stage

FLOOR_DB, CEILING_DB = -60.0, 0.0
CLIP_DB = -0.3  # a peak at or above this lights the clip lamp; the limiter's ceiling is -1
FALL_DB = 0.7  # a frame: the peak line sinks 21 dB a second
MOST_REDUCTION_DB = 12.0
MARKS_DB = (-48, -36, -24, -12, 0)


def share(level_db: float) -> float:
    """Where a level lies on the meter, 0 bottom to 1 top."""
    return min(max((level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0.0), 1.0)


class LevelMeter(QWidget):
    """Levels with peak lines that sink, a clip lamp, and the limiter's reduction from the top."""

    def __init__(self) -> None:
        super().__init__()
        self._level = (FLOOR_DB, FLOOR_DB)
        self._peak = (FLOOR_DB, FLOOR_DB)
        self.reduction_db = 0.0
        self.clipped = False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        theme.describe(
            self,
            "Output level",
            "Left and right: bar is level, line is peak. The orange bar from the top is what the "
            "limiter takes away. CLIP stays lit until you click.",
        )

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Takes new levels; peaks jump up at once and sink slowly."""
        state = (self._level, self._peak, self.reduction_db, self.clipped)
        self._level = snapshot.level_db
        self._peak = (
            max(self._peak[0], snapshot.peak_db[0]),
            max(self._peak[1], snapshot.peak_db[1]),
        )
        self.reduction_db = min(0.0, snapshot.limiter_db)
        self.clipped = self.clipped or max(snapshot.peak_db) >= CLIP_DB
        if state != (self._level, self._peak, self.reduction_db, self.clipped):
            self.update()

    def advance(self, snapshot: Snapshot) -> None:
        """One frame: peak lines sink towards the present peak."""
        left, right = (
            max(p - FALL_DB, n, FLOOR_DB) for p, n in zip(self._peak, snapshot.peak_db, strict=True)
        )
        if (left, right) != self._peak:
            self._peak = (left, right)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Two bars, a reduction bar and a scale."""
        return QSize(round(self.fontMetrics().height() * 4.6), 150)

    def mousePressEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Puts the clip lamp out."""
        self.clipped = False
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Clip lamp on top, bars below, scale to the right."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        lamp = QRectF(1, 1, self.width() - 2, line * 1.15)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.ALARM if self.clipped else theme.WELL))
        painter.drawRoundedRect(lamp, 3, 3)
        painter.setPen(theme.colour(theme.GROUND if self.clipped else theme.LINE))
        painter.setFont(theme.font(0.8, bold=True))
        painter.drawText(lamp, Qt.AlignmentFlag.AlignCenter, "CLIP")
        top, tall = lamp.bottom() + 5, self.height() - lamp.bottom() - 7
        wide = self.width() * 0.2
        for index in range(2):
            box = QRectF(1 + index * (wide + 3), top, wide, tall)
            self._draw_bar(painter, box, self._level[index], self._peak[index])
        reduction = QRectF(1 + 2 * (wide + 3), top, wide * 0.5, tall)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.WELL))
        painter.drawRect(reduction)
        taken = min(1.0, -self.reduction_db / MOST_REDUCTION_DB)
        painter.setBrush(theme.colour(theme.WARNING))
        painter.drawRect(QRectF(reduction.left(), top, reduction.width(), tall * taken))
        painter.setFont(theme.font(0.75))
        painter.setPen(theme.colour(theme.QUIET))
        left = reduction.right() + 3
        crowded = tall * 12 / -FLOOR_DB < line * 0.9
        for mark in MARKS_DB:
            if crowded and mark % 24:
                continue
            y = top + tall * (1 - share(mark))
            y = min(max(y, top + line * 0.4), top + tall - line * 0.4)
            row = QRectF(left, y - line / 2, self.width() - left - 1, line)
            painter.drawText(
                row,
                Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
                str(mark).replace("-", "−"),
            )

    def _draw_bar(self, painter: QPainter, box: QRectF, level: float, peak: float) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.WELL))
        painter.drawRect(box)
        for low, high, tint in (
            (FLOOR_DB, -12.0, theme.FRESH),
            (-12.0, -3.0, theme.WARNING),
            (-3.0, CEILING_DB, theme.ALARM),
        ):
            start, end = share(low), min(share(level), share(high))
            if end > start:
                y = box.bottom() - box.height() * end
                painter.setBrush(theme.colour(tint))
                painter.drawRect(QRectF(box.left(), y, box.width(), box.height() * (end - start)))
        if peak > FLOOR_DB:
            y = box.bottom() - box.height() * share(peak)
            painter.setPen(QPen(theme.colour(theme.TEXT), 2))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))


class OutputStrip(QWidget):
    """Gain fader and meters."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.gain = Fader(
            "Output gain",
            "How loud you hear it.",
            "instant",
            -48.0,
            12.0,
            0.5,
            0.0,
            Qt.Orientation.Vertical,
        )
        self.gain.moved.connect(self._set_gain)
        self.meter = LevelMeter()
        self.reading = QLabel("0.0 dB")
        self.reading.setAlignment(Qt.AlignmentFlag.AlignRight)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(LaneLabel("Out", "instant"))
        head.addWidget(self.reading, 1)
        column.addLayout(head)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.gain)
        row.addWidget(self.meter)
        column.addLayout(row, 1)
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(lambda: self.meter.advance(stage.snapshot))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows gain and levels."""
        self.gain.show_value(snapshot.gain_db)
        self._read(snapshot.gain_db)
        self.meter.show_snapshot(snapshot)

    def _set_gain(self, gain_db: float) -> None:
        self._read(gain_db)
        self._stage.send_latest(SetGain(gain_db))

    def _read(self, gain_db: float) -> None:
        words = f"{gain_db:+.1f} dB" if gain_db else "0.0 dB"
        self.reading.setText(words.replace("-", "−"))
