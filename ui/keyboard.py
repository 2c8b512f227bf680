"""The on-screen keyboard: what is played, and what the model hears."""

from __future__ import annotations

from bisect import bisect_left

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QLinearGradient, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from lmdm.live.messages import Snapshot
from ui import theme
from ui.keys import PlayedKeys, clamped
from ui.stage import Stage

RANGES = ((36, 96), (48, 96), (48, 84), (60, 84))  # C2 to C7, and less where there is less room
NARROWEST = 1.15  # of a white key, in lines of text
BLACK = frozenset((1, 3, 6, 8, 10))
BLACK_WIDTH, BLACK_HEIGHT = 0.62, 0.62  # of a white key
SOFTEST, LOUDEST = 30, 120  # velocity at the back and at the front of a key


def is_black(pitch: int) -> bool:
    """Whether a pitch is a black key."""
    return pitch % 12 in BLACK


def _whites(lowest: int, highest: int) -> list[int]:
    """The white keys of a range, both ends in it."""
    return [pitch for pitch in range(lowest, highest + 1) if not is_black(pitch)]


class PianoKeys(QWidget):
    """Five octaves. Mouse: press, slide, and the nearer to the front the louder.

    Pressed keys are filled; notes the model hears carry a dot, so that a note held by a MIDI
    keyboard or by the pedal is seen too.
    """

    def __init__(self, stage: Stage, played: PlayedKeys) -> None:
        super().__init__()
        self._played = played
        self._heard: frozenset[int] = frozenset()
        self._drawn: tuple[frozenset[int], frozenset[int], int] | None = None
        self._lowest, self._highest = RANGES[0]
        self._whites = _whites(*RANGES[0])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(56)
        theme.describe(
            self,
            "Keyboard",
            "Play with the mouse or the computer's keys. Filled: held by you. "
            "Dot: heard by the model.",
            "block",
            "A W S E D F T G Y H U J K O L P; Z and X change the octave, C and V the loudness",
        )
        stage.changed.connect(self.show_snapshot)

    @property
    def heard(self) -> frozenset[int]:
        """Pitches the model hears."""
        return self._heard

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Marks what the model hears."""
        self._heard = frozenset(snapshot.held)
        self.refresh()

    def refresh(self) -> None:
        """Repaints when what is held, heard, or reached by the letters has changed."""
        state = (self._played.pitches, self._heard, self._played.octave)
        if state == self._drawn:
            return
        before, self._drawn = self._drawn, state
        if before is None or before[2] != state[2]:
            self.update()
            return
        for pitch in (before[0] ^ state[0]) | (before[1] ^ state[1]):
            self.update(self.key_box(pitch).toAlignedRect())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Wide and low."""
        return QSize(900, 120)

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802
        """As many octaves as have room."""
        line = self.fontMetrics().height()
        for lowest, highest in RANGES:
            self._lowest, self._highest = lowest, highest
            self._whites = _whites(lowest, highest)
            if self.width() >= len(self._whites) * NARROWEST * line:
                break

    def key_box(self, pitch: int) -> QRectF:
        """Where a key lies in the widget."""
        wide = self.width() / len(self._whites)
        before = bisect_left(self._whites, pitch)
        if is_black(pitch):
            left = before * wide - wide * BLACK_WIDTH / 2
            return QRectF(left, 0, wide * BLACK_WIDTH, self.height() * BLACK_HEIGHT)
        return QRectF(before * wide, 0, wide, self.height())

    def key_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Pitch and velocity at a place, or None beside the keys."""
        point = QPointF(x, y)
        for pitch in sorted(range(self._lowest, self._highest + 1), key=is_black, reverse=True):
            box = self.key_box(pitch)
            if box.contains(point):
                share = (y - box.top()) / max(1.0, box.height())
                return pitch, round(SOFTEST + (LOUDEST - SOFTEST) * share)
        return None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Plays the key under the pointer."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._touch(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Slides from key to key."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._touch(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Lets go."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._played.release("mouse")
            self.refresh()

    def _touch(self, event: QMouseEvent) -> None:
        found = self.key_at(event.position().x(), event.position().y())
        if found is None:
            self._played.release("mouse")
        else:
            self._played.press("mouse", found[0], clamped(found[1], 1, 127))
        self.refresh()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """White keys, then black ones, of those that are to be drawn anew."""
        if event is None:
            return
        fresh = QRectF(event.rect())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pressed = self._played.pitches
        for pitch in sorted(range(self._lowest, self._highest + 1), key=is_black):
            if self.key_box(pitch).intersects(fresh):
                self._draw_key(painter, pitch, pitch in pressed)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour(theme.ACCENT, 0.6), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)

    def _draw_key(self, painter: QPainter, pitch: int, pressed: bool) -> None:
        box = self.key_box(pitch).adjusted(1, 0, -1, -1)
        black = is_black(pitch)
        heard = pitch in self._heard
        shade = QLinearGradient(box.topLeft(), box.bottomLeft())
        if pressed:
            top, front = (theme.mixed(theme.ACCENT, theme.GROUND, 0.25), theme.colour(theme.ACCENT))
        elif black:
            top, front = theme.colour("#0a0b0d"), theme.colour("#23272f")
        else:
            top, front = theme.colour("#7f8896"), theme.colour("#a8b0bd")
        shade.setColorAt(0.0, top)
        shade.setColorAt(1.0, front)
        painter.setBrush(shade)
        painter.setPen(QPen(theme.colour(theme.GROUND), 1))
        painter.drawRoundedRect(box, 3, 3)
        line = self.fontMetrics().height()
        if heard:
            radius = min(box.width() * 0.3, line * 0.4)
            place = QPointF(box.center().x(), box.bottom() - radius - 5)
            painter.setBrush(theme.colour(theme.FRESH))
            painter.setPen(QPen(theme.colour(theme.GROUND), 1.5))
            painter.drawEllipse(place, radius, radius)
        letter = self._played.letter_of(pitch)
        dark = theme.colour(theme.GROUND if not black or pressed else theme.QUIET)
        middle = Qt.AlignmentFlag.AlignHCenter
        if letter:
            painter.setPen(dark)
            painter.setFont(theme.font(0.85, bold=True))
            high = box.height() * (0.5 if black else 0.68)
            row = QRectF(box.left(), box.top() + high - line / 2, box.width(), line)
            painter.drawText(row, Qt.AlignmentFlag.AlignCenter, letter)
        elif pitch % 12 == 0 and not heard:
            painter.setPen(theme.colour("#3d4450"))
            painter.setFont(theme.font(0.8))
            row = box.adjusted(0, 0, 0, -3)
            words = f"C{pitch // 12 - 1}"
            painter.drawText(row, middle | Qt.AlignmentFlag.AlignBottom, words)
