"""The top bar: what the instrument is doing, where in the bar it is, and its tempo."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from lmdm.live.messages import SetBeat, SetTempo, Snapshot
from ui import theme, words
from ui.lane_label import LaneLabel
from ui.stage import Stage
from ui.tap import TapTempo

TONES = {
    "quiet": theme.QUIET,
    "plain": theme.TEXT,
    "good": theme.FRESH,
    "warning": theme.WARNING,
    "alarm": theme.ALARM,
}
MOST_GUESS_SECONDS = 0.5  # how far past the last report the beat may be guessed


class BeatClock(QWidget):
    """Bar and beat of what is heard, with a cell a beat that fills as the beat passes.

    Snapshots come some twenty times a second; between them the beat is carried on at the tempo.
    """

    def __init__(self, beats_per_bar: int = 4, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._beats_per_bar = beats_per_bar
        self._clock = clock
        self._reported: tuple[float, float, float, bool] = (0.0, 120.0, 0.0, False)
        self._drawn = -1.0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        theme.describe(self, "Beat clock", "Bar and beat of the music you hear now.")

    @property
    def beat(self) -> float:
        """Beats since the first downbeat, now."""
        beat, bpm, since, moving = self._reported
        passed = min(max(self._clock() - since, 0.0), MOST_GUESS_SECONDS) if moving else 0.0
        return beat + passed * bpm / 60.0

    @property
    def place(self) -> tuple[int, int]:
        """Bar and beat, both counted from 1."""
        whole = math.floor(self.beat)
        return whole // self._beats_per_bar + 1, whole % self._beats_per_bar + 1

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Takes the reported beat; guessing goes on from there."""
        moving = snapshot.status in ("playing", "restarting") and snapshot.heard > 0
        if (snapshot.heard_beat, snapshot.bpm, moving) != (
            self._reported[0],
            self._reported[1],
            self._reported[3],
        ):
            self._reported = (snapshot.heard_beat, snapshot.bpm, self._clock(), moving)

    def advance(self) -> None:
        """Repaints when the picture would differ."""
        seen = round(self.beat * 24) / 24
        if seen != self._drawn:
            self._drawn = seen
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Large figures and four cells."""
        line = self.fontMetrics().height()
        return QSize(round(12.5 * line), round(2.6 * line))

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Figures to the left, cells to the right."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar, beat = self.place
        line = self.fontMetrics().height()
        words = f"{bar}.{beat}"
        scale = 2.0 if len(words) < 6 else 10.0 / len(words)
        painter.setFont(theme.font(scale, bold=True))
        moving = self._reported[3]
        painter.setPen(theme.colour(theme.TEXT if moving else theme.QUIET))
        figures = QRectF(0, 0, 5.4 * line, self.height())
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(figures, centre | Qt.AlignmentFlag.AlignRight, words)
        left = figures.right() + 0.6 * line
        gap = 4.0
        wide = (self.width() - left - gap * (self._beats_per_bar - 1)) / self._beats_per_bar
        tall = line * 1.1
        painter.setPen(Qt.PenStyle.NoPen)
        phase = self.beat - math.floor(self.beat)
        for index in range(self._beats_per_bar):
            cell = QRectF(left + index * (wide + gap), (self.height() - tall) / 2, wide, tall)
            painter.setBrush(theme.colour(theme.RAISED))
            painter.drawRoundedRect(cell, 3, 3)
            if moving and index == beat - 1:
                tint = theme.WARNING if index == 0 else theme.ACCENT
                painter.setBrush(theme.colour(tint, 1.0 - 0.65 * phase))
                painter.drawRoundedRect(cell, 3, 3)


class StateLamp(QWidget):
    """A dot and a word or two: playing, loading, muted, failed."""

    def __init__(self) -> None:
        super().__init__()
        self.phrase = words.Phrase("")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the state of a snapshot."""
        phrase = words.state(snapshot)
        if phrase != self.phrase:
            self.phrase = phrase
            theme.describe(self, phrase.text, phrase.meaning)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Room for the longest state."""
        return QSize(self.fontMetrics().horizontalAdvance("Loading 100 %") + 40, 40)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """The dot in the tone's colour, then the words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tint = theme.colour(TONES[self.phrase.tone])
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        painter.drawEllipse(QRectF(4, self.height() / 2 - 5, 10, 10))
        painter.setPen(tint if self.phrase.tone != "good" else theme.colour(theme.TEXT))
        painter.setFont(theme.font(1.1, bold=True))
        room = QRectF(22, 0, self.width() - 22, self.height())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, self.phrase.text)


class Transport(QWidget):
    """State, beat clock, tempo, tap and downbeat."""

    def __init__(self, stage: Stage, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stage = stage
        self._clock = clock
        self._taps = TapTempo()
        self.lamp = StateLamp()
        self.beat_clock = BeatClock(clock=clock)
        self.tempo = QDoubleSpinBox()
        self.tempo.setRange(20.0, 400.0)
        self.tempo.setDecimals(1)
        self.tempo.setValue(120.0)
        self.tempo.setSuffix(" bpm")
        self.tempo.setKeyboardTracking(False)
        self.tempo.setFont(theme.font(1.15, bold=True))
        self.tempo.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.tempo.setMinimumWidth(self.tempo.fontMetrics().horizontalAdvance("888.8 bpm") + 26)
        theme.describe(
            self.tempo,
            "Tempo",
            "Beats a minute; the model plays in time. Type, scroll, or use the arrows.",
            "block",
        )
        self.tempo.valueChanged.connect(lambda bpm: stage.send_latest(SetTempo(bpm)))
        self.tap_button = QPushButton("Tap")
        theme.describe(self.tap_button, "Tap tempo", "Tap along to set the tempo.", "block", "B")
        self.tap_button.pressed.connect(self.tap)
        self.downbeat = QPushButton("One")
        theme.describe(
            self.downbeat, "Downbeat", "Begins the bar anew: press it on the one.", "block", "N"
        )
        self.downbeat.pressed.connect(lambda: stage.send(SetBeat(0.0)))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.lamp)
        row.addWidget(self.beat_clock)
        row.addSpacing(8)
        row.addWidget(LaneLabel("Tempo", "block"))
        for widget in (self.tempo, self.tap_button, self.downbeat):
            row.addWidget(widget)
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.beat_clock.advance)

    def tap(self) -> None:
        """One tap; from the second on the tempo follows."""
        bpm = self._taps.tap(self._clock())
        if bpm is not None:
            self.tempo.blockSignals(True)
            self.tempo.setValue(bpm)
            self.tempo.blockSignals(False)
            self._stage.send_latest(SetTempo(bpm))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draws the snapshot; a tempo being typed is left alone."""
        self.lamp.show_snapshot(snapshot)
        self.beat_clock.show_snapshot(snapshot)
        editor = self.tempo.lineEdit()
        typing = editor is not None and editor.isModified() and self.tempo.hasFocus()
        if not typing and abs(self.tempo.value() - snapshot.bpm) > 0.04:
            self.tempo.blockSignals(True)
            self.tempo.setValue(snapshot.bpm)
            self.tempo.blockSignals(False)
