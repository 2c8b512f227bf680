"""The scrolling picture of the sound: what was heard, what is final, what can still change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from lmdm.live.messages import MESSAGES, Landed, Lane, Snapshot
from ui import theme, words
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
LISTEN_EVERY = 3  # frames: the sound is asked for so often; the picture moves every frame
AHEAD_SECONDS = 2.4  # room for sound that is ready but not heard yet
AHEAD_SHARE = 0.32  # of the width, at most
HEAD_SIDE = 12  # pixels of a mark's head
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
        self._frame = 0
        self._landed: tuple[Landed, ...] = ()
        self._snapshot = Snapshot()
        self.calm = False  # reduced motion: repaints twice a second
        self._grounds: tuple[QPixmap, QPixmap] | None = None  # of what is final, and open
        self._measure()
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
        told = (snapshot.status, snapshot.text, snapshot.progress)
        if told != (self._snapshot.status, self._snapshot.text, self._snapshot.progress):
            self.update()
        if self._sound is None and snapshot.heard > self._heard:
            count = min(snapshot.heard // HOP - self._heard // HOP, HISTORY)
            peak = 10 ** (max(snapshot.peak_db) / 20)
            self._append(None, np.array([[-peak, peak]], np.float32).repeat(count, axis=0))
        if snapshot.landed != self._landed:
            self._mark(snapshot.landed, snapshot.heard)
        if snapshot.status == "playing":
            for column, downbeat in self.timeline.pass_beat(
                snapshot.heard_beat, snapshot.bpm, snapshot.beats_per_bar
            ):
                opacity, top = (0.30, 0.0) if downbeat else (0.16, 0.955)
                self._picture.rule(column, theme.TEXT, opacity, top)
        self._heard = snapshot.heard
        self._snapshot = snapshot

    def advance(self) -> None:
        """One frame: draws the sound that came since the last, and moves the play head."""
        self._frame += 1
        if self._sound is not None and self._frame % LISTEN_EVERY == 1:
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
        known = {(each.kind, each.sample) for each in self._landed}
        for each in landed:
            if (each.kind, each.sample) not in known:
                message = MESSAGES.get(each.kind)
                lane = message.lane if message is not None else "block"
                column = self.timeline.column_of((each.sample - heard) / SAMPLE_RATE)
                self.timeline.mark(Mark(column, lane, words.landed(each), each.kind))
                self._picture.rule(round(column), theme.LANE_COLOURS[lane], 0.4)
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
        self._measure()

    def _measure(self) -> None:
        """What a frame needs of the geometry, once for all."""
        ratio = self.devicePixelRatioF()
        self._step = self._picture.column / ratio  # logical pixels a column
        ahead = min(AHEAD_SECONDS * COLUMNS_PER_SECOND * self._step, self.width() * AHEAD_SHARE)
        self._head_x = round((self.width() - ahead) * ratio) / ratio  # of the play head
        self._grounds = None

    def _head_pixel(self) -> int:
        return round(self.timeline.head * self._picture.column)

    # --- painting -------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Picture, what is ahead, scale, marks, words."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.fillRect(self.rect(), theme.colour(theme.WELL))
        behind = (self._picture.count * self._picture.column - self._head_pixel()) / ratio
        self._picture.draw(painter, self._head_x + behind, 0.0, ratio)
        self._draw_ahead(painter, behind)
        if self._sound is not None:
            self._draw_scale(painter)
        self._draw_marks(painter)
        if self._snapshot.status in SILENT:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_words(painter, QRectF(self.rect()))

    def _draw_scale(self, painter: QPainter) -> None:
        painter.setFont(theme.font(0.75))
        span = math.log(HIGHEST_HZ / LOWEST_HZ)
        tall = self.height() * (1 - WAVE_SHARE)
        line = painter.fontMetrics().height()
        for hertz, told in MARKS_HZ:
            y = round(tall * (1 - math.log(hertz / LOWEST_HZ) / span))
            painter.fillRect(QRectF(0, y, self._head_x, 1), theme.colour(theme.TEXT, 0.12))
            if y > line and tall > 5 * line:
                painter.setPen(theme.colour(theme.QUIET))
                painter.drawText(QPointF(6, y - 3), told)

    def _draw_ahead(self, painter: QPainter, behind: float) -> None:
        """What is made and not yet heard: final to the left, open to change to the right."""
        x, right, tall = self._head_x, float(self.width()), float(self.height())
        per_ms = COLUMNS_PER_SECOND * self._step / 1000
        room = right - x
        final = min(max(final_ms(self._snapshot) * per_ms, behind), room)
        ready = min(max(self._snapshot.lead_ms * per_ms, final), room)
        made_final, made_open = self._made_grounds()
        ratio = self.devicePixelRatioF()
        for ground, start, end in ((made_final, behind, final), (made_open, final, ready)):
            if end > start:
                source = QRectF(start * ratio, 0, (end - start) * ratio, tall * ratio)
                painter.drawPixmap(QRectF(x + start, 0, end - start, tall), ground, source)
        painter.fillRect(QRectF(x + ready, 0, room - ready, tall), theme.colour(theme.AHEAD))
        if ready > 0:
            painter.fillRect(QRectF(x + final, 0, 1, tall), theme.colour(theme.FRESH))
            self._draw_legend(painter, x + 6)
        painter.fillRect(QRectF(x - 1, 0, 2, tall), theme.colour(theme.TEXT))

    def _made_grounds(self) -> tuple[QPixmap, QPixmap]:
        """The two grounds ahead of the play head, made once for a size."""
        if self._grounds is None:
            ratio = self.devicePixelRatioF()
            made = []
            for tint, pattern in (
                (theme.mixed(theme.AHEAD, theme.FRESH, 0.28), None),
                (theme.mixed(theme.AHEAD, theme.ACCENT, 0.07), Qt.BrushStyle.BDiagPattern),
            ):
                ground = QPixmap(
                    max(1, round((self.width() - self._head_x) * ratio)),
                    max(1, round(self.height() * ratio)),
                )
                ground.fill(tint)
                if pattern is not None:
                    painter = QPainter(ground)
                    hatch = QBrush(theme.colour(theme.ACCENT, 0.30), pattern)
                    painter.fillRect(ground.rect(), hatch)
                    painter.end()
                made.append(ground)
            self._grounds = (made[0], made[1])
        return self._grounds

    def _draw_legend(self, painter: QPainter, x: float) -> None:
        """What the two grounds mean, at the foot, where there is room."""
        painter.setFont(theme.font(0.78))
        metrics = painter.fontMetrics()
        side, line = metrics.ascent() * 0.75, metrics.height()
        if x + 2 * side + metrics.horizontalAdvance("can change") > self.width():
            return
        base = self.height() - 6.0 - line
        ratio = self.devicePixelRatioF()
        for told, ground in zip(("final", "can change"), self._made_grounds(), strict=True):
            box = QRectF(x, base - side, side, side)
            painter.drawPixmap(box, ground, QRectF(0, 0, side * ratio, side * ratio))
            painter.setPen(theme.colour(theme.TEXT))
            painter.drawText(QPointF(x + side + 5, base), told)
            base += line

    def _draw_marks(self, painter: QPainter) -> None:
        """Heads of the marks where changes landed, and, ahead, lines where others will."""
        painter.setFont(theme.font(0.78))
        metrics = painter.fontMetrics()
        head, step = self._head_x, self._step
        painter.setPen(theme.colour(theme.TEXT))
        marks = self.timeline.marks
        places = [head + (mark.column - self.timeline.head) * step for mark in marks]
        for index, mark in enumerate(marks):
            x = places[index]
            if not -HEAD_SIDE <= x <= self.width():
                continue
            if x > head:
                tint = theme.colour(theme.LANE_COLOURS[mark.lane])
                painter.fillRect(QRectF(x, HEAD_SIDE, 1, self.height()), tint)
            side = HEAD_SIDE
            painter.drawPixmap(
                QPointF(x - side / 2, 2), mark_head(mark.lane, self.devicePixelRatioF())
            )
            if mark.words and x < head:
                following = places[index + 1] if index + 1 < len(places) else head
                wide = metrics.horizontalAdvance(mark.words)
                if x + 9 + wide < min(following - HEAD_SIDE / 2, head - 4):
                    painter.drawText(QPointF(x + 9, metrics.ascent() + 1), mark.words)
        self._draw_waiting(painter)

    def _draw_waiting(self, painter: QPainter) -> None:
        per_beat = 60.0 / max(self._snapshot.bpm, 1.0)
        tint = theme.colour(theme.LANE_COLOURS["scene"])
        for waiting in self._snapshot.waiting:
            column = self.timeline.column_of(waiting.beats * per_beat)
            x = self._head_x + (column - self.timeline.head) * self._step
            x = min(x, self.width() - HEAD_SIDE / 2)
            for y in range(HEAD_SIDE, self.height(), 8):
                painter.fillRect(QRectF(x, y, 1, 5), tint)
            painter.drawPixmap(
                QPointF(x - HEAD_SIDE / 2, 2), mark_head("scene", self.devicePixelRatioF())
            )

    def _draw_words(self, painter: QPainter, box: QRectF) -> None:
        snapshot = self._snapshot
        painter.fillRect(box, theme.colour(theme.GROUND, 0.72))
        painter.setFont(theme.font(1.3, bold=True))
        painter.setPen(theme.colour(theme.TEXT))
        told = SILENT[snapshot.status]
        if snapshot.status == "loading" and snapshot.text:
            told = snapshot.text
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, told)
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


@lru_cache(maxsize=16)
def mark_head(lane: Lane, ratio: float) -> QPixmap:
    """The head of a mark, drawn once for each lane."""
    made = QPixmap(round(HEAD_SIDE * ratio), round(HEAD_SIDE * ratio))
    made.setDevicePixelRatio(ratio)
    made.fill(theme.colour("#000000", 0.0))
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour(theme.LANE_COLOURS[lane]))
    painter.drawPolygon(theme.lane_shape(lane, HEAD_SIDE / 2, HEAD_SIDE / 2, HEAD_SIDE - 2))
    painter.end()
    return made
