"""The scrolling picture of the sound: what was heard, what is final, what can still change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from lmdm.live.messages import MESSAGES, Landed, Snapshot
from ui import theme
from ui.sound_picture import HISTORY, ROWS, SoundPicture
from ui.spectrogram import (
    HIGHEST_HZ,
    HOP,
    LOWEST_HZ,
    SAMPLE_RATE,
    SpectrogramColumns,
    WaveformColumns,
)
from ui.stage import Stage
from ui.timeline import COLUMNS_PER_SECOND, Mark, Timeline

WAVE_SHARE = 0.28  # of the height
AHEAD_SECONDS = 2.4  # room for sound that is ready but not heard yet
AHEAD_SHARE = 0.32  # of the width, at most
CALM_SECONDS = 0.5  # between repaints when motion is reduced
SILENT: dict[str, str] = {  # states without music, and their words
    "loading": "Loading",
    "stopped": "The session has ended",
    "failed": "There is no music: the engine has failed",
}
MARKS_HZ = ((100.0, "100 Hz"), (1000.0, "1 kHz"), (10000.0, "10 kHz"))


class SoundView(QWidget):
    """Sound scrolls to the left of the play head; to its right lies what is made ahead of it.

    `sound` gives PCM handed to the device since it was last asked; without it, levels from
    snapshots are drawn. Marks of their lane's shape show where the musician's changes landed, and,
    right of the play head, where those to come will.
    """

    def __init__(
        self,
        stage: Stage,
        sound: Callable[[], np.ndarray] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._stage = stage
        self._sound = sound
        self._clock = clock
        self._then = clock()
        self._painted = -1e9
        self._spectrum = SpectrogramColumns(ROWS)
        self._waveform = WaveformColumns()
        self._picture = SoundPicture()
        self.timeline = Timeline()
        self._heard = 0
        self._landed: tuple[Landed, ...] = ()
        self._snapshot = Snapshot()
        self.calm = False  # reduced motion: repaints twice a second
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        theme.describe(
            self,
            "Sound",
            "Pitch above, loudness below. The line is what you hear now; to its right the filled "
            "part is final, the hatched part is made and can still change. Marks show where your "
            "changes landed, or will.",
        )
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.advance)

    # --- what comes in --------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Takes the lead and, when there is no PCM to be had, the levels."""
        words = (snapshot.status, snapshot.text, snapshot.progress)
        if words != (self._snapshot.status, self._snapshot.text, self._snapshot.progress):
            self.update()
        if self._sound is None and snapshot.heard > self._heard:
            count = min(snapshot.heard // HOP - self._heard // HOP, HISTORY)
            peak = 10 ** (max(snapshot.peak_db) / 20)
            self._append(None, np.array([[-peak, peak]], np.float32).repeat(count, axis=0))
        if snapshot.landed != self._landed:
            self._mark(snapshot.landed, snapshot.heard)
        if snapshot.status == "playing":
            self.timeline.pass_beat(snapshot.heard_beat, snapshot.bpm, snapshot.beats_per_bar)
        self._heard = snapshot.heard
        self._snapshot = snapshot

    def advance(self) -> None:
        """One frame: draws the sound that came since the last, and moves the play head."""
        if self._sound is not None:
            pcm = self._sound()[-HISTORY * HOP :]
            if len(pcm):
                self._append(self._spectrum.feed(pcm), self._waveform.feed(pcm))
        now = self._clock()
        passed, self._then = min(now - self._then, 0.25), now
        before = self._head_pixel()
        self.timeline.advance(passed, self._snapshot.device_ms)
        moved = self._head_pixel() != before
        if moved and (not self.calm or now - self._painted >= CALM_SECONDS):
            self._painted = now
            self.update()

    def _mark(self, landed: tuple[Landed, ...], heard: int) -> None:
        """Marks what landed since the last snapshot, where it landed."""
        for each in landed:
            if each not in self._landed:
                message = MESSAGES.get(each.kind)
                lane = message.lane if message is not None else "block"
                self.timeline.mark(lane, each.text, (each.sample - heard) / SAMPLE_RATE)
        self._landed = landed

    def _append(self, spectrum: np.ndarray | None, wave: np.ndarray) -> None:
        if len(wave):
            self._picture.add(spectrum, wave)
            self.timeline.receive(len(wave))

    # --- geometry -------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Wide."""
        return QSize(800, 180)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Low, yet still a picture."""
        return QSize(200, 60)

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802
        """The picture is drawn anew in the new size."""
        self._fit()

    def _fit(self) -> None:
        ratio = self.devicePixelRatioF()
        column = max(1, round(ratio))
        share = 1.0 if self._sound is None else WAVE_SHARE
        wide, tall = round(self.width() * ratio), round(self.height() * ratio)
        if (wide, tall, column) != (*self._picture.size, self._picture.column):
            self._picture.resize(wide, tall, share, column)

    @property
    def _step(self) -> float:
        """Logical pixels a column."""
        return self._picture.column / self.devicePixelRatioF()

    @property
    def _head_x(self) -> float:
        """Where the play head stands, in logical pixels."""
        ahead = min(AHEAD_SECONDS * COLUMNS_PER_SECOND * self._step, self.width() * AHEAD_SHARE)
        ratio = self.devicePixelRatioF()
        return round((self.width() - ahead) * ratio) / ratio

    def _head_pixel(self) -> int:
        return round(self.timeline.head * self._picture.column)

    def _x(self, column: float) -> float:
        """Where a column lies."""
        return self._head_x + (column - self.timeline.head) * self._step

    # --- painting -------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Picture, scale, bars, what is ahead, marks, words."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.fillRect(self.rect(), theme.colour(theme.WELL))
        behind = (self._picture.count * self._picture.column - self._head_pixel()) / ratio
        self._picture.draw(painter, self._head_x + behind, 0.0, ratio)
        self._draw_ahead(painter, behind)
        if self._sound is not None:
            self._draw_scale(painter)
        self._draw_bars(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_marks(painter)
        if self._snapshot.status in SILENT:
            self._draw_words(painter, QRectF(self.rect()))

    def _draw_scale(self, painter: QPainter) -> None:
        painter.setFont(theme.font(0.75))
        span = math.log(HIGHEST_HZ / LOWEST_HZ)
        tall = self.height() * (1 - WAVE_SHARE)
        line = painter.fontMetrics().height()
        for hertz, words in MARKS_HZ:
            y = round(tall * (1 - math.log(hertz / LOWEST_HZ) / span)) + 0.5
            painter.setPen(theme.colour(theme.TEXT, 0.12))
            painter.drawLine(QPointF(0, y), QPointF(self._head_x, y))
            if y > line and tall > 5 * line:
                painter.setPen(theme.colour(theme.QUIET))
                painter.drawText(QPointF(6, y - 3), words)

    def _draw_bars(self, painter: QPainter) -> None:
        """A line where each beat passed, brighter on the one."""
        for column, downbeat in self.timeline.bars:
            x = round(self._x(column)) + 0.5
            if x >= 0:
                painter.setPen(theme.colour(theme.TEXT, 0.30 if downbeat else 0.10))
                top = 0 if downbeat else self.height() - 8
                painter.drawLine(QPointF(x, top), QPointF(x, self.height()))

    def _draw_ahead(self, painter: QPainter, behind: float) -> None:
        """What is made and not yet heard: final to the left, open to change to the right."""
        x = self._head_x
        painter.fillRect(
            QRectF(x, 0, self.width() - x, self.height()), theme.colour(theme.PANEL, 0.78)
        )
        per_ms = COLUMNS_PER_SECOND * self._step / 1000
        final = min(max(final_ms(self._snapshot) * per_ms, behind), self.width() - x)
        ready = min(max(self._snapshot.lead_ms * per_ms, final), self.width() - x)
        if ready > 0:
            painter.fillRect(QRectF(x, 0, final, self.height()), theme.colour(theme.FRESH, 0.20))
            rest = QRectF(x + final, 0, ready - final, self.height())
            painter.fillRect(rest, theme.colour(theme.ACCENT, 0.07))
            hatch = QBrush(theme.colour(theme.ACCENT, 0.30), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(rest, hatch)
            painter.setPen(theme.colour(theme.FRESH, 0.9))
            edge = round(x + final) + 0.5
            painter.drawLine(QPointF(edge, 0), QPointF(edge, self.height()))
            painter.setFont(theme.font(0.78))
            painter.setPen(theme.colour(theme.TEXT, 0.85))
            base = self.height() - 6.0
            if rest.width() > painter.fontMetrics().horizontalAdvance("can change") + 10:
                painter.drawText(QPointF(edge + 6, base), "can change")
            if final > painter.fontMetrics().horizontalAdvance("final") + 10:
                painter.drawText(QPointF(x + 6, base), "final")
        painter.fillRect(QRectF(x - 1, 0, 2, self.height()), theme.colour(theme.TEXT))

    def _draw_marks(self, painter: QPainter) -> None:
        """Where changes landed, and, ahead, where those that wait will."""
        painter.setFont(theme.font(0.78))
        free = -1.0  # words begin right of those before
        for mark in self.timeline.marks:
            x = self._x(mark.column)
            if -120 <= x <= self.width():
                free = self._draw_mark(painter, x, mark, free)
        per_beat = 60.0 / max(self._snapshot.bpm, 1.0) * COLUMNS_PER_SECOND
        for waiting in self._snapshot.waiting:
            column = self.timeline.head + waiting.beats * per_beat
            x = min(self._x(column), self.width() - 8.0)
            painter.setPen(QPen(theme.colour(theme.LANE_COLOURS["scene"]), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, 14), QPointF(x, self.height()))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.LANE_COLOURS["scene"]))
            painter.drawPolygon(theme.lane_shape("scene", x, 8, 10))

    def _draw_mark(self, painter: QPainter, x: float, mark: Mark, free: float) -> float:
        tint = theme.LANE_COLOURS[mark.lane]
        painter.setPen(theme.colour(tint, 0.35))
        painter.drawLine(QPointF(x, 13), QPointF(x, self.height()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(tint))
        painter.drawPolygon(theme.lane_shape(mark.lane, x, 8, 9))
        wide = painter.fontMetrics().horizontalAdvance(mark.words)
        if mark.words and x + 8 > free and x + 8 + wide < self._head_x - 4:
            painter.setPen(theme.colour(theme.TEXT, 0.8))
            painter.drawText(QPointF(x + 8, 12), mark.words)
            return x + 16 + wide
        return free

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


def final_ms(snapshot: Snapshot) -> float:
    """Milliseconds of sound ahead that no control can change any more."""
    return max(0.0, (snapshot.committed - snapshot.heard) * 1000 / SAMPLE_RATE)
