"""The bottom line: how the instrument is doing, in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QEvent, QRectF, QSize, Qt
from PyQt6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from lmdm.live.messages import Snapshot
from ui import theme, words
from ui.stage import Stage
from ui.transport import TONES
from ui.words import Phrase

GAP = 22.0
LAMP_LINES = 0.82  # width of a mark or a lamp, in lines of text
SHORTEST = 44.0  # what is elided further is left out
ACTIVE_SECONDS = 0.25  # the MIDI lamp stays lit so long after something came


def fitted(widths: Sequence[float], room: float) -> list[float]:
    """The widths, the longest of them cut to one length so that their sum fits the room.

    >>> fitted([10.0, 50.0, 40.0], 70.0)
    [10.0, 30.0, 30.0]
    """
    given: dict[int, float] = {}
    by_width = sorted(range(len(widths)), key=lambda index: widths[index])
    for place, index in enumerate(by_width):
        share = max(0.0, room - sum(given.values())) / (len(widths) - place)
        given[index] = min(widths[index], share)
    return [given[index] for index in range(len(widths))]


class StatusLine(QWidget):
    """Phrases side by side: how it runs to the left, what it is joined to at the right.

    Each has its own tooltip. What does not fit is elided, the right part first.
    """

    def __init__(self, stage: Stage, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._came: tuple[object, ...] = ()  # what came by MIDI, to see it change
        self._active_until = -1.0
        self.active = False  # the MIDI lamp
        self.left: tuple[Phrase, ...] = ()
        self.right: tuple[Phrase, ...] = ()
        self._boxes: list[tuple[QRectF, Phrase]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Status")
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.advance)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Puts the snapshot into words."""
        left, right = words.status_line(snapshot), words.surroundings(snapshot)
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            told = ", ".join(phrase.text for phrase in (*left, *right))
            self.setAccessibleDescription(told)
            self.update()
        came = (snapshot.last_controller, snapshot.held, snapshot.sustain, snapshot.pitch_bend)
        if came != self._came:
            self._came, self._active_until = came, self._clock() + ACTIVE_SECONDS
        self.advance()

    def advance(self) -> None:
        """One frame: the MIDI lamp goes out by itself."""
        active = self._clock() < self._active_until
        if active != self.active:
            self.active = active
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """One line."""
        return QSize(600, round(self.fontMetrics().height() * 1.7))

    def event(self, event: QEvent | None) -> bool:
        """Answers a tooltip request with the meaning of the phrase under the pointer."""
        if isinstance(event, QHelpEvent):
            for box, phrase in self._boxes:
                if box.contains(event.pos().toPointF()):
                    QToolTip.showText(event.globalPos(), phrase.meaning or phrase.text, self)
                    return True
            QToolTip.hideText()
            return True
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Left phrases from the left, right ones from the right, with what room is left."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        lamp = metrics.height() * LAMP_LINES
        end = self.width() - lamp - 6
        self._boxes = []
        x = 2.0
        for phrase in self.left:
            mark = lamp if phrase.lane or phrase.lamp else 0.0
            wide = metrics.horizontalAdvance(phrase.text) + mark
            if x + wide > end:
                break  # the least urgent come last
            self._draw(painter, QRectF(x, 0, wide, self.height()), phrase, phrase.text)
            x += wide + GAP
        shown_right = list(self.right)
        widths = [float(metrics.horizontalAdvance(phrase.text)) for phrase in shown_right]
        while widths:
            fitting = fitted(widths, end - x - GAP * (len(widths) - 1))
            if min(fitting) >= min(SHORTEST, *widths):
                break
            del widths[0], shown_right[0]
        else:
            fitting = []
        x = end - sum(fitting) - GAP * (len(fitting) - 1)
        for phrase, wide in zip(shown_right, fitting, strict=True):
            shown = metrics.elidedText(phrase.text, Qt.TextElideMode.ElideRight, round(wide + 1))
            self._draw(painter, QRectF(x, 0, wide + 1, self.height()), phrase, shown)
            x += wide + GAP
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.FRESH if self.active else theme.LINE))
        side = lamp * 0.6
        painter.drawEllipse(QRectF(self.width() - side - 4, (self.height() - side) / 2, side, side))

    def _draw(self, painter: QPainter, box: QRectF, phrase: Phrase, shown: str) -> None:
        self._boxes.append((box, phrase))
        if phrase.lane is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.LANE_COLOURS[phrase.lane]))
            line = painter.fontMetrics().height()
            shape = theme.lane_shape(
                phrase.lane, box.left() + 0.3 * line, box.center().y(), 0.48 * line
            )
            painter.drawPolygon(shape)
            box = box.adjusted(line * LAMP_LINES, 0, 0, 0)
        elif phrase.lamp:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(TONES[phrase.tone]))
            side = painter.fontMetrics().height() * LAMP_LINES * 0.6
            painter.drawEllipse(QRectF(box.left(), box.center().y() - side / 2, side, side))
            box = box.adjusted(painter.fontMetrics().height() * LAMP_LINES, 0, 0, 0)
        painter.setPen(theme.colour(TONES[phrase.tone]))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, shown)
