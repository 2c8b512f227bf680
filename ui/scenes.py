"""The scenes strip: call a scene, keep one, choose the boundary, and see when the change comes."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QAction, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot, Waiting
from ui import theme
from ui.choice import Choice, choice_for
from ui.learn import teach
from ui.stage import Stage
from ui.words import waiting_words

LONGEST_NAME = 40
LARGE = 1.4  # a locked stage's scenes, beside the usual size
SCENE_KINDS = ("recall_scene", "recall_scene_number", "set_controls")


class SceneButton(QPushButton):
    """One scene: its number, its name, and, while it waits, how near its boundary is."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__()
        self.name = name
        self.number = number
        self.extend_menu: Callable[[QMenu], None] | None = None  # adds to the learn menu
        self.large = False  # while the stage is locked
        self.waits: float | None = None  # share of the wait that is over; None: it does not wait
        self.setObjectName("scene")
        self.setCheckable(True)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        keys = f"{number}; Shift+{number} keeps the present sound here" if number <= 8 else ""
        theme.describe(
            self, f"Scene {name}", "Calls this scene at the next boundary.", "scene", keys
        )
        teach(self, f"recall_scene:{name}", f"Scene {name}")

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """The number and the name."""
        line = self.fontMetrics()
        wide = line.horizontalAdvance(f"{self.number}  {self.name}") + 2 * line.height()
        size = LARGE if self.large else 1.0
        return QSize(round(max(wide, 4 * line.height()) * size), round(2.1 * line.height() * size))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """A name is not cut; the strip scrolls."""
        return self.sizeHint()

    def show_wait(self, share: float | None) -> None:
        """How much of the wait is over, 0 to 1."""
        share = None if share is None else round(share, 2)
        if share != self.waits:
            self.waits = share
            self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """The button, its filling while it waits, then number and name."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        size = LARGE if self.large else 1.0
        line = self.fontMetrics().height() * size
        if self.waits is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(theme.LANE_COLOURS["scene"], 0.35))
            full = QRectF(box.left(), box.top(), box.width() * self.waits, box.height())
            painter.drawRoundedRect(full, 5, 5)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(theme.colour(theme.LANE_COLOURS["scene"]))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        left = box.adjusted(0.5 * line, 0, 0, 0)
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(theme.colour(theme.QUIET))
        painter.setFont(theme.font(0.85 * size))
        painter.drawText(left, centre, str(self.number))
        painter.setFont(theme.font(size, bold=self.isChecked()))
        painter.setPen(theme.colour(theme.TEXT))
        name = box.adjusted(0.5 * line + painter.fontMetrics().averageCharWidth() * 2, 0, -4, 0)
        words = painter.fontMetrics().elidedText(
            self.name, Qt.TextElideMode.ElideRight, round(name.width())
        )
        painter.drawText(name, centre, words)


class Countdown(QWidget):
    """The next change that waits, in words and as a ring that closes; quiet when none does."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self._share = 0.0
        self._size = 1.0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        theme.describe(
            self, "Countdown", "Beats until the next change that waits for its boundary is heard."
        )

    def show_waiting(self, waiting: Waiting | None, whole: float, beats: float) -> None:
        """The change, the beats of its whole wait, and those left."""
        words = ""
        if waiting is not None:
            words = f"{waiting_words(waiting)} in {max(beats, 0):.1f}"
        share = round(1.0 - min(max(beats / max(whole, 1e-6), 0.0), 1.0), 2)
        if (words, share) != (self.words, self._share):
            self.words, self._share = words, share
            self.setAccessibleDescription(f"{words} beats" if words else "Nothing waits.")
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """A ring and some words."""
        line = self.fontMetrics()
        wide = line.horizontalAdvance("prompts in 16.0 ") + 2 * line.height()
        return QSize(round(wide * self._size), round(line.height() * self._size))

    def set_large(self, large: bool) -> None:
        """Legible from further away."""
        self._size = LARGE if large else 1.0
        self.updateGeometry()
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """The ring, then the words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height() * self._size
        side = line * 1.1
        ring = QRectF(2, (self.height() - side) / 2, side, side)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.RAISED))
        painter.drawEllipse(ring)
        if self.words:
            painter.setBrush(theme.colour(theme.LANE_COLOURS["scene"]))
            painter.drawPie(ring, 90 * 16, round(-360 * 16 * self._share))
        room = QRectF(ring.right() + 7, 0, self.width() - ring.right() - 7, self.height())
        painter.setPen(theme.colour(theme.TEXT if self.words else theme.QUIET))
        painter.setFont(theme.font(self._size, bold=bool(self.words)))
        words = painter.fontMetrics().elidedText(
            self.words or "nothing waits", Qt.TextElideMode.ElideMiddle, round(room.width())
        )
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)


class ScenesStrip(QWidget):
    """Scene buttons, a field to keep the present sound as one, the boundary, the countdown."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._locked = False
        self.buttons: list[SceneButton] = []
        self._wholes: dict[tuple[str, str], float] = {}  # a waiting change -> beats at its start
        self.keep = QPushButton("+ Keep")
        self.keep.setObjectName("plain")
        theme.describe(
            self.keep, "Keep as a scene", "Keeps the present controls as a new scene.", "instant"
        )
        self.keep.clicked.connect(self._ask_name)
        self.name = QLineEdit()
        self.name.setMaxLength(LONGEST_NAME)
        self.name.setMaximumWidth(220)
        theme.describe(
            self.name, "Scene name", "Enter keeps the scene, Escape does not.", "instant"
        )
        self.name.returnPressed.connect(self._keep_named)
        self.name.editingFinished.connect(self._end_naming)
        self.name.hide()
        self.quantise: Choice[str] = choice_for(
            stage,
            "Changes wait for",
            "When scenes and prompts change: at once, or on the next beat, bar or phrase.",
            m.SetQuantise,
            "quantise",
            tuple((each, each) for each in m.BOUNDARIES),
            "scene",
        )
        self.countdown = Countdown()
        self.cancel = QPushButton("×")
        self.cancel.setObjectName("plain")
        theme.describe(
            self.cancel, "Cancel what waits", "Withdraws every change that still waits.", "scene"
        )
        self.cancel.clicked.connect(lambda: stage.send(m.CancelQuantised()))
        kept = self.cancel.sizePolicy()
        kept.setRetainSizeWhenHidden(True)
        self.cancel.setSizePolicy(kept)
        self._lay_out()
        stage.changed.connect(self.show_snapshot)

    def _lay_out(self) -> None:
        inner = QWidget()
        self._row = QHBoxLayout(inner)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(5)
        self._row.addWidget(self.keep)
        self._row.addWidget(self.name)
        self._row.addStretch(1)
        self.shelf = QScrollArea()
        self.shelf.setWidget(inner)
        self.shelf.setWidgetResizable(True)
        self.shelf.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.shelf.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.shelf.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.shelf.setFixedHeight(round(self.fontMetrics().height() * 2.2))
        when = QHBoxLayout()
        when.setSpacing(10)
        for widget in (self.quantise, self.countdown, self.cancel):
            when.addWidget(widget)
        self._lines = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(10)
        self._lines.addWidget(self.shelf, 1)
        self._lines.addLayout(when)

    def set_stacked(self, stacked: bool) -> None:
        """Two rows where one is too wide."""
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._lines.setDirection(down if stacked else across)
        self._lines.setSpacing(4 if stacked else 10)

    # --- what it shows --------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the scenes there are, the one that plays, and those that wait."""
        if tuple(button.name for button in self.buttons) != snapshot.scenes:
            self._fill(snapshot.scenes)
        waits = {}
        for each in snapshot.waiting:
            key = (each.kind, each.text)
            whole = self._wholes.setdefault(key, max(each.beats, 0.25))
            if each.kind in SCENE_KINDS:
                waits[each.text] = 1.0 - min(max(each.beats / whole, 0.0), 1.0)
        known = {(each.kind, each.text) for each in snapshot.waiting}
        self._wholes = {key: whole for key, whole in self._wholes.items() if key in known}
        for button in self.buttons:
            button.setChecked(button.name == snapshot.scene)
            button.show_wait(waits.get(button.name))
        first = snapshot.waiting[0] if snapshot.waiting else None
        whole = self._wholes[first.kind, first.text] if first is not None else 1.0
        self.countdown.show_waiting(first, whole, first.beats if first is not None else 0.0)
        self.cancel.setVisible(first is not None)

    def _fill(self, scenes: tuple[str, ...]) -> None:
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.buttons = []
        for index, name in enumerate(scenes):
            button = SceneButton(index + 1, name)
            button.clicked.connect(lambda _on, name=name: self.call(name))
            button.large = self._locked
            button.extend_menu = lambda menu, name=name: self._extend_menu(menu, name)
            self._row.insertWidget(index, button)
            self.buttons.append(button)

    def set_locked(self, locked: bool) -> None:
        """A locked stage calls scenes, larger, and keeps none."""
        self._locked = locked
        self.keep.setVisible(not locked)
        line = self.fontMetrics().height()
        self.shelf.setFixedHeight(round(line * 2.2 * (LARGE if locked else 1.0)))
        self.countdown.set_large(locked)
        for button in self.buttons:
            button.large = locked
            button.updateGeometry()

    # --- what it sends --------------------------------------------------------------------------

    def call(self, name: str) -> None:
        """Recalls a scene at the boundary chosen."""
        self._stage.send(m.RecallScene(name))
        for button in self.buttons:  # what plays is what the engine says
            button.setChecked(button.name == self._stage.snapshot.scene)

    def call_number(self, number: int) -> None:
        """Recalls the scene in a place, counted from 1."""
        if 1 <= number <= len(self.buttons):
            self.call(self.buttons[number - 1].name)

    def keep_number(self, number: int) -> None:
        """Keeps the present sound in a place; one past the last is a new scene."""
        if number <= len(self.buttons):
            self._stage.send(m.StoreScene(self.buttons[number - 1].name))
        else:
            self._stage.send(m.StoreScene(self._free_name()))

    def _free_name(self) -> str:
        names = set(self._stage.snapshot.scenes)
        return next(f"Scene {n}" for n in range(1, 10_000) if f"Scene {n}" not in names)

    def _ask_name(self) -> None:
        self.name.setText(self._free_name())
        self.keep.hide()
        self.name.show()
        self.name.selectAll()
        self.name.setFocus()

    def _keep_named(self) -> None:
        name = self.name.text().strip()
        if name:
            self._stage.send(m.StoreScene(name))
        self._end_naming()

    def _end_naming(self) -> None:
        self.name.hide()
        self.keep.show()

    def _extend_menu(self, menu: QMenu, name: str) -> None:
        """Adds what can be done with a scene to its menu."""
        keep = QAction("Keep the present sound here", menu)
        keep.triggered.connect(lambda: self._stage.send(m.StoreScene(name)))
        delete = QAction("Delete this scene", menu)
        delete.triggered.connect(lambda: self._stage.send(m.DeleteScene(name)))
        menu.addSeparator()
        menu.addAction(keep)
        menu.addAction(delete)
