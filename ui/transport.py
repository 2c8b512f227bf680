"""The top bar: what the instrument is doing, where in the bar it is, and its tempo."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui import icons, theme, words
from ui.learn import teach
from ui.picker import Picker
from ui.stage import Stage

TONES = {
    "quiet": theme.QUIET,
    "plain": theme.TEXT,
    "good": theme.FRESH,
    "warning": theme.WARNING,
    "alarm": theme.ALARM,
}
MOST_GUESS_SECONDS = 0.5  # how far past the last report the beat may be guessed
SOURCE_LINES, DOWNBEAT_LINES = 84.0, 60.0  # widths of the window from which these have room
CLOCKS = (("Own clock", "internal"), ("MIDI clock", "midi"), ("Link", "link"))


class BeatClock(QWidget):
    """Bar and beat of what is heard, with a cell a beat that fills as the beat passes.

    Snapshots come some twenty times a second; between them the beat is carried on at the tempo.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._beats_per_bar = 4
        self._clock = clock
        self._reported: tuple[float, float, float, bool] = (0.0, 120.0, 0.0, False)
        self._drawn: tuple[int, int] = (-1, -1)
        self.calm = False  # reduced motion: cells switch, they do not fade
        self._size = 1.0  # of everything in it; larger while the stage is locked
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
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
        alive = snapshot.status in ("playing", "restarting") and snapshot.heard > 0
        moving = alive and snapshot.transport == "playing"
        if snapshot.beats_per_bar != self._beats_per_bar:
            self._beats_per_bar = snapshot.beats_per_bar
            self.update()
        if (snapshot.heard_beat, snapshot.bpm, moving) != (
            self._reported[0],
            self._reported[1],
            self._reported[3],
        ):
            self._reported = (snapshot.heard_beat, snapshot.bpm, self._clock(), moving)

    def advance(self) -> None:
        """Repaints when the picture would differ: sixteen shades a beat, or two when calm."""
        whole = math.floor(self.beat)
        shade = 0 if self.calm else int((self.beat - whole) * 16)
        if (whole, shade) != self._drawn:
            self._drawn = (whole, shade)
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Large figures and four cells."""
        line = self.fontMetrics().height()
        return QSize(round(10.4 * line * self._size), round(2.0 * line * self._size))

    def set_large(self, large: bool) -> None:
        """Legible from further away."""
        self._size = 1.6 if large else 1.0
        self.updateGeometry()
        self.update()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """The same."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Figures to the left, cells to the right."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.GROUND))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar, beat = self.place
        line = self.fontMetrics().height() * self._size
        told = f"{bar}.{beat}"
        scale = (1.9 if len(told) < 6 else 9.5 / len(told)) * self._size
        painter.setFont(theme.font(scale, bold=True))
        moving = self._reported[3]
        painter.setPen(theme.colour(theme.TEXT if moving else theme.QUIET))
        figures = QRectF(0, 0, 4.3 * line, self.height())
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(figures, centre | Qt.AlignmentFlag.AlignRight, told)
        left = figures.right() + 0.5 * line
        gap = 3.0
        count = self._beats_per_bar
        wide = (self.width() - left - gap * (count - 1)) / count
        tall = line * 1.1
        painter.setPen(Qt.PenStyle.NoPen)
        phase = 0.0 if self.calm else self.beat - math.floor(self.beat)
        for index in range(count):
            cell = QRectF(left + index * (wide + gap), (self.height() - tall) / 2, wide, tall)
            painter.setBrush(theme.colour(theme.RAISED))
            painter.drawRoundedRect(cell, 3, 3)
            if moving and index == beat - 1:
                tint = theme.WARNING if index == 0 else theme.ACCENT
                painter.setBrush(theme.colour(tint, round(1.0 - 0.65 * phase, 2)))
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
        line = self.fontMetrics()
        return QSize(line.horizontalAdvance("Loading 100 %") + round(1.1 * line.height()), 40)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """The dot in the tone's colour, then the words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tint = theme.colour(TONES[self.phrase.tone])
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        side = round(self.fontMetrics().height() * 0.6)
        painter.drawEllipse(QRectF(3, (self.height() - side) / 2, side, side))
        painter.setPen(tint if self.phrase.tone != "good" else theme.colour(theme.TEXT))
        painter.setFont(theme.font(1.05, bold=True))
        room = QRectF(side + 11, 0, self.width() - side - 11, self.height())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, self.phrase.text)


class Transport(QWidget):
    """State, play and stop, beat clock, tempo, tap, downbeat, and whose clock it is."""

    def __init__(self, stage: Stage, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stage = stage
        self._lines, self._locked = SOURCE_LINES, False
        self.lamp = StateLamp()
        self.beat_clock = BeatClock(clock=clock)
        self.play = QPushButton()
        self.play.setObjectName("icon")
        self.play.setCheckable(True)
        self.play.setIcon(icons.icon("play", on=theme.FRESH))
        fixed = QSizePolicy.Policy.Fixed
        self.play.setSizePolicy(fixed, fixed)
        self.stop = QPushButton()
        self.stop.setSizePolicy(fixed, fixed)
        theme.describe(
            self.play,
            "Play, pause",
            "Pauses the music where it is, and goes on.",
            "instant",
            "Space",
        )
        self.play.clicked.connect(lambda on: stage.send(m.Play() if on else m.Pause()))
        teach(self.play, "play", "Play, pause")
        self.stop.setObjectName("icon")
        self.stop.setIcon(icons.icon("stop"))
        theme.describe(self.stop, "Stop", "Fades out; Play then begins afresh at bar 1.", "instant")
        self.stop.clicked.connect(lambda: stage.send(m.Stop()))
        teach(self.stop, "stop", "Stop")
        self.tempo = QDoubleSpinBox()
        self.tempo.setRange(20.0, 400.0)
        self.tempo.setDecimals(1)
        self.tempo.setValue(120.0)
        self.tempo.setSuffix(" bpm")
        self.tempo.setKeyboardTracking(False)
        self.tempo.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        theme.describe(
            self.tempo,
            "Tempo",
            "Beats a minute; the model plays in time. Type, scroll, or use the arrows.",
            "block",
        )
        self.tempo.valueChanged.connect(lambda bpm: stage.send_latest(m.SetTempo(bpm)))
        teach(self.tempo, "set_tempo", "Tempo", long_press=False)
        self.tap_button = QPushButton("Tap")
        theme.describe(self.tap_button, "Tap tempo", "Tap along to set the tempo.", "block", "B")
        self.tap_button.pressed.connect(self.tap)
        teach(self.tap_button, "tap", "Tap tempo", long_press=False)
        self.downbeat = QPushButton("One")
        theme.describe(
            self.downbeat, "Downbeat", "Begins the bar anew: press it on the one.", "block", "N"
        )
        self.downbeat.pressed.connect(lambda: stage.send(m.SetBeat(0.0)))
        self.source: Picker[str] = Picker(
            "Clock",
            "Who gives the tempo: ourselves, MIDI clock, or Ableton Link.",
            CLOCKS,
            "instant",
        )
        self.source.setMinimumContentsLength(8)
        self.source.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.source.chosen.connect(lambda source: stage.send(m.SetClockSource(source)))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(6)
        for widget in (
            self.lamp, self.play, self.stop, self.beat_clock, self.tempo, self.tap_button,
            self.downbeat, self.source,
        ):  # fmt: skip
            self._row.addWidget(widget)
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.beat_clock.advance)

    def set_width(self, lines: float) -> None:
        """Puts away what can be reached elsewhere where the window is only so many lines wide."""
        if lines != self._lines:
            self._lines = lines
            self._show_parts()

    def set_locked(self, locked: bool) -> None:
        """A locked stage shows the bar and beat large, and nothing that could stop the music."""
        self._locked = locked
        self.beat_clock.set_large(locked and self._lines >= DOWNBEAT_LINES)
        self._show_parts()

    def _show_parts(self) -> None:
        self.source.setVisible(self._lines >= SOURCE_LINES and not self._locked)
        self.downbeat.setVisible(self._lines >= DOWNBEAT_LINES and not self._locked)
        for widget in (self.stop, self.tap_button, self.tempo):
            widget.setVisible(not self._locked)

    def tap(self) -> None:
        """One tap; from the second on the tempo follows."""
        self._stage.send(m.Tap())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draws the snapshot; a tempo being typed is left alone."""
        self.lamp.show_snapshot(snapshot)
        self.beat_clock.show_snapshot(snapshot)
        self.play.setChecked(snapshot.transport == "playing")
        self.source.show_value(snapshot.clock_source)
        own = snapshot.clock_source == "internal"
        if self.tempo.isReadOnly() == own:
            self.tempo.setReadOnly(not own)
            self.tap_button.setEnabled(own)
        editor = self.tempo.lineEdit()
        typing = editor is not None and editor.isModified() and self.tempo.hasFocus()
        if not typing and abs(self.tempo.value() - snapshot.bpm) > 0.04:
            self.tempo.blockSignals(True)
            self.tempo.setValue(snapshot.bpm)
            self.tempo.blockSignals(False)
