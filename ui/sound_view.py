"""The scrolling picture of the sound: spectrum, waveform, and how much is ready."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QImage, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from lmdm.live.messages import Lane, Message, Snapshot
from ui import theme
from ui.spectrogram import (
    HIGHEST_HZ,
    HOP,
    LOWEST_HZ,
    SAMPLE_RATE,
    SpectrogramColumns,
    WaveformColumns,
)
from ui.stage import Stage

COLUMNS = 512  # of history: 11.9 s
ROWS = 160
WAVE_SHARE = 0.26  # of the height
SECONDS = COLUMNS * HOP / SAMPLE_RATE
AHEAD_SECONDS = 1.2  # room for sound that is ready but not heard yet
SILENT: dict[str, str] = {  # states without music, and their words
    "loading": "Loading",
    "stopped": "The session has ended",
    "failed": "There is no music: the engine has failed",
}
MARKS_HZ = ((100.0, "100 Hz"), (1000.0, "1 kHz"), (10000.0, "10 kHz"))
HEAT = ((0.0, "#0c0e11"), (0.3, "#1d2f5c"), (0.55, "#2e7fb0"), (0.78, "#5fd0c0"), (1.0, "#f7f3c4"))


def heat_table() -> list[int]:
    """256 colours of rising lightness, black over blue to pale yellow, as Qt's 0xAARRGGBB."""
    table = []
    for level in range(256):
        place = level / 255
        for (low, first), (high, second) in pairwise(HEAT):
            if place <= high:
                mixed = theme.mixed(first, second, (place - low) / (high - low))
                table.append(mixed.rgb())
                break
    return table


class SoundView(QWidget):
    """Sound scrolls to the left of the play head; to its right lies what is generated ahead.

    `sound` gives PCM heard since it was last asked; without it, levels from snapshots are drawn.
    A mark of its lane's shape shows where the musician changed something.
    """

    def __init__(self, stage: Stage, sound: Callable[[], np.ndarray] | None = None) -> None:
        super().__init__()
        self._sound = sound
        self._spectrum = SpectrogramColumns(ROWS)
        self._waveform = WaveformColumns()
        self._picture = np.zeros((ROWS, COLUMNS), np.uint8)  # a ring of columns, top row highest
        self._wave = np.zeros((COLUMNS, 2), np.float32)
        self._next = 0  # columns drawn since the beginning
        self._table = heat_table()
        self._lead = 0.0
        self._heard = 0
        self._snapshot = Snapshot()
        self.marks: deque[tuple[int, Lane]] = deque(maxlen=256)  # column, lane
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.describe(
            self,
            "Sound",
            "The sound of the last seconds: pitch above, loudness below. The line is now; the "
            "hatched part to its right is ready and not heard yet. Marks show your changes.",
        )
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.advance)
        stage.sent.connect(self.mark)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Takes the lead and, when there is no PCM to be had, the levels."""
        words = (snapshot.status, snapshot.text, snapshot.progress)
        if words != (self._snapshot.status, self._snapshot.text, self._snapshot.progress):
            self.update()
        lead = round(min(snapshot.lead_ms / 1000, AHEAD_SECONDS), 2)
        if lead != self._lead:
            self._lead = lead
            self.update()
        if self._sound is None and snapshot.heard > self._heard:
            count = snapshot.heard // HOP - self._heard // HOP
            peak = 10 ** (max(snapshot.peak_db) / 20)
            level = np.array([[-peak, peak]], np.float32).repeat(min(count, COLUMNS), axis=0)
            self._append(None, level)
        self._heard = snapshot.heard
        self._snapshot = snapshot

    def advance(self) -> None:
        """One frame: draws the sound that was heard since the last."""
        if self._sound is not None:
            pcm = self._sound()[-COLUMNS * HOP :]
            columns = self._spectrum.feed(pcm)
            self._append(columns, self._waveform.feed(pcm))

    def mark(self, message: Message) -> None:
        """Remembers that something was changed now."""
        self.marks.append((self._next, message.lane))

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Wide."""
        return QSize(800, 180)

    def _append(self, spectrum: np.ndarray | None, wave: np.ndarray) -> None:
        if not len(wave):
            return
        places = (self._next + np.arange(len(wave))) % COLUMNS
        self._wave[places] = wave
        if spectrum is not None:
            self._picture[:, places] = spectrum[:, ::-1].T
        self._next += len(wave)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Pictures, scales, what is ahead, marks, words."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.WELL))
        whole = QRectF(self.rect())
        ahead = whole.width() * AHEAD_SECONDS / (SECONDS + AHEAD_SECONDS)
        past = QRectF(0, 0, whole.width() - ahead, whole.height())
        top = past if self._sound is None else past.adjusted(0, 0, 0, -whole.height() * WAVE_SHARE)
        if self._sound is not None:
            self._draw_spectrum(painter, top)
            wave = QRectF(0, top.bottom(), past.width(), whole.height() - top.height())
            self._draw_wave(painter, wave)
            self._draw_scale(painter, top)
        else:
            self._draw_wave(painter, past)
        self._draw_ahead(painter, QRectF(past.right(), 0, ahead, whole.height()))
        self._draw_marks(painter, past)
        if self._snapshot.status in SILENT:
            self._draw_words(painter, whole)

    def _draw_spectrum(self, painter: QPainter, box: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        indexed = QImage.Format.Format_Indexed8
        picture = QImage(self._picture.tobytes(), COLUMNS, ROWS, COLUMNS, indexed)
        picture.setColorTable(self._table)
        seam = self._next % COLUMNS
        older = box.width() * (COLUMNS - seam) / COLUMNS
        left = QRectF(box.left(), box.top(), older, box.height())
        right = QRectF(left.right(), box.top(), box.width() - older, box.height())
        painter.drawImage(left, picture, QRectF(seam, 0, COLUMNS - seam, ROWS))
        if seam:
            painter.drawImage(right, picture, QRectF(0, 0, seam, ROWS))

    def _draw_wave(self, painter: QPainter, box: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        middle, half = box.center().y(), box.height() / 2 - 1
        step = box.width() / COLUMNS
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.drawLine(QPointF(box.left(), middle), QPointF(box.right(), middle))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.FRESH, 0.85))
        order = (self._next + np.arange(COLUMNS)) % COLUMNS
        levels = np.clip(self._wave[order], -1.0, 1.0)
        bars = [
            QRectF(box.left() + index * step, middle - high * half, step, (high - low) * half)
            for index, (low, high) in enumerate(levels.tolist())
            if high - low > 1e-4
        ]
        if bars:
            painter.drawRects(*bars)

    def _draw_scale(self, painter: QPainter, box: QRectF) -> None:
        painter.setFont(theme.font(0.75))
        span = math.log(HIGHEST_HZ / LOWEST_HZ)
        for hertz, words in MARKS_HZ:
            y = box.bottom() - box.height() * math.log(hertz / LOWEST_HZ) / span
            painter.setPen(QPen(theme.colour(theme.TEXT, 0.14), 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            if y > box.top() + painter.fontMetrics().height():
                painter.setPen(theme.colour(theme.QUIET))
                painter.drawText(QPointF(box.left() + 6, y - 3), words)

    def _draw_ahead(self, painter: QPainter, box: QRectF) -> None:
        painter.fillRect(box, theme.colour(theme.PANEL))
        if self._lead > 0:
            wide = box.width() * self._lead / AHEAD_SECONDS
            ready = QRectF(box.left(), box.top(), wide, box.height())
            painter.fillRect(ready, theme.colour(theme.FRESH, 0.10))
            hatch = QBrush(theme.colour(theme.FRESH, 0.45), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(ready, hatch)
            painter.setPen(theme.colour(theme.QUIET))
            painter.setFont(theme.font(0.8))
            row = box.adjusted(8, 6, -4, -6)
            painter.drawText(row, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft, "ready")
        painter.setPen(QPen(theme.colour(theme.TEXT), 2))
        painter.drawLine(box.topLeft(), box.bottomLeft())

    def _draw_marks(self, painter: QPainter, box: QRectF) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        step = box.width() / COLUMNS
        for column, lane in self.marks:
            x = box.right() - (self._next - column) * step
            if x < box.left() + 4:
                continue
            painter.setPen(QPen(theme.colour(theme.LANE_COLOURS[lane], 0.35), 1))
            painter.drawLine(QPointF(x, 12), QPointF(x, box.bottom()))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.LANE_COLOURS[lane]))
            painter.drawPolygon(theme.lane_shape(lane, x, 7, 9))

    def _draw_words(self, painter: QPainter, box: QRectF) -> None:
        snapshot = self._snapshot
        painter.fillRect(box, theme.colour(theme.GROUND, 0.72))
        painter.setFont(theme.font(1.3, bold=True))
        painter.setPen(theme.colour(theme.TEXT))
        words = SILENT[snapshot.status]
        if snapshot.status == "loading" and snapshot.text:
            words = snapshot.text
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, words)
        if snapshot.status == "loading":
            wide, y = min(320.0, box.width() * 0.5), box.center().y() + 26
            track = QRectF(box.center().x() - wide / 2, y, wide, 6)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.LINE))
            painter.drawRoundedRect(track, 3, 3)
            track.setWidth(max(6.0, wide * min(max(snapshot.progress, 0.0), 1.0)))
            painter.setBrush(theme.colour(theme.ACCENT))
            painter.drawRoundedRect(track, 3, 3)
