"""Lays out the views: all at once where there is room, a page at a time where there is not."""

from __future__ import annotations

from dataclasses import dataclass, fields

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from ui import theme
from ui.arrangement import Arrangement
from ui.banner import Banner
from ui.blend_surface import BlendSurface
from ui.choice import choice_for
from ui.key_row import KeyRow
from ui.keyboard import PianoKeys
from ui.lane_label import LaneLabel
from ui.lock import LockButton
from ui.macros import Macros
from ui.output_strip import OutputStrip
from ui.prompts import PromptPads
from ui.safety import SafetyButtons
from ui.scenes import ScenesStrip
from ui.sound_view import SoundView
from ui.stage import Stage
from ui.status_line import StatusLine
from ui.tabs import Tabs
from ui.transport import Transport


@dataclass(frozen=True)
class Views:
    """Everything that is laid out."""

    transport: Transport
    safety: SafetyButtons
    lock: LockButton
    menu: QPushButton
    scenes: ScenesStrip
    banner: Banner
    prompts: PromptPads
    blend: BlendSurface
    macros: Macros
    sound: SoundView
    output: OutputStrip
    key_row: KeyRow
    keys: PianoKeys
    status: StatusLine


class Ground(QWidget):
    """The window's whole surface."""

    def __init__(self, views: Views, stage: Stage) -> None:
        super().__init__()
        self.views = views
        self.setObjectName("ground")
        self.arrangement: Arrangement | None = None
        self.locked = False
        self.pages: Tabs | None = None  # of the paged arrangement
        self.blend_mode = choice_for(
            stage,
            "Blend mode",
            "How prompts become one: their mean, or their mean on the sphere.",
            m.SetBlendMode,
            "blend_mode",
            tuple((each.capitalize(), each) for each in m.BLEND_MODES),
        )
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(10, 8, 10, 4)
        self._column.setSpacing(0)
        self._held: QWidget | None = None  # what holds the present arrangement

    def arrange(self, wanted: Arrangement, lines: float) -> None:
        """Lays the views out in another way, `lines` wide; they stay the same widgets."""
        self.views.transport.set_width(lines)
        if wanted == self.arrangement:
            return
        self.arrangement = wanted
        hidden = {view for view in self._views() if _put_away(view)}
        former, self.pages = self._held, None
        for area in former.findChildren(QScrollArea) if former is not None else ():
            if area.widget() is self.views.macros:
                area.takeWidget()  # else the area goes on minding a view that is no longer in it
        self._held = QWidget()
        column = QVBoxLayout(self._held)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        if wanted == "whole":
            self._lay_out_whole(column)
        else:
            self._lay_out_paged(column)
        self._column.addWidget(self._held)
        for view in self._views():
            view.setVisible(view not in hidden)
        if former is not None:
            self._column.removeWidget(former)
            former.hide()
            former.deleteLater()
        self.views.key_row.set_stacked(wanted == "paged")
        self.views.scenes.set_stacked(wanted == "paged")

    def set_locked(self, locked: bool) -> None:
        """Shows that the stage is locked, and puts away what it shuts."""
        self.locked = locked
        self.views.key_row.setVisible(not locked)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """The ground; framed while locked."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.GROUND))
        if self.locked:
            painter.setPen(QPen(theme.colour(theme.ACCENT), 3))
            painter.drawRect(self.rect().adjusted(1, 1, -2, -2))

    def _views(self) -> tuple[QWidget, ...]:
        named = (getattr(self.views, each.name) for each in fields(self.views))
        return (*named, self.blend_mode)

    def _lay_out_whole(self, column: QVBoxLayout) -> None:
        v = self.views
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(v.transport)
        top.addStretch(1)
        for widget in (v.safety, v.lock, v.menu):
            top.addWidget(widget)
        column.addLayout(top)
        column.addWidget(v.scenes)
        column.addWidget(v.banner)
        shape = QHBoxLayout()
        shape.setSpacing(8)
        shape.addWidget(_panel(v.prompts, head=_head(LaneLabel("Prompts", "block"))), 11)
        shape.addWidget(_panel(v.blend, head=self._blend_head("Blend")), 6)
        shape.addWidget(_panel(v.macros), 10)
        column.addLayout(shape, 10)
        sound = QHBoxLayout()
        sound.setSpacing(8)
        sound.addWidget(_panel(v.sound, flush=True), 1)
        sound.addWidget(_panel(v.output))
        column.addLayout(sound, 8)
        column.addWidget(_panel(v.key_row, v.keys), 5)
        column.addWidget(v.status)

    def _lay_out_paged(self, column: QVBoxLayout) -> None:
        v = self.views
        for row in ((v.transport, v.lock, v.menu), (v.safety,)):
            line = QHBoxLayout()
            line.setSpacing(6)
            line.addWidget(row[0], 1)
            for widget in row[1:]:
                line.addWidget(widget)
            column.addLayout(line)
        column.addWidget(v.banner)
        self.pages = Tabs(
            (
                ("Scenes", "Scenes and the blend of prompts.", _panel(v.scenes, v.blend)),
                (
                    "Prompts",
                    "What the music should sound like.",
                    _panel(v.prompts, head=self._blend_head("Prompts")),
                ),
                ("Shape", "How the model plays.", _panel(_scrolled(v.macros))),
                ("Sound", "The picture of the sound, and levels.", _across(v.sound, v.output)),
                ("Keys", "The keyboard.", _panel(v.key_row, v.keys)),
            )
        )
        column.addWidget(self.pages, 1)
        column.addWidget(v.status)

    def _blend_head(self, name: str) -> QWidget:
        self.blend_mode.label.hide()
        return _head(LaneLabel(name, "block"), self.blend_mode)


def _put_away(view: QWidget) -> bool:
    """Whether a view was hidden on purpose; one never shown is hidden too, without being asked."""
    asked = view.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
    return asked and view.isHidden()


def _head(*widgets: QWidget) -> QWidget:
    """A panel's first line: a caption, then what belongs to the right."""
    head = QWidget()
    line = QHBoxLayout(head)
    line.setContentsMargins(0, 0, 0, 0)
    line.addWidget(widgets[0])
    line.addStretch(1)
    for widget in widgets[1:]:
        line.addWidget(widget)
    return head


def _panel(*contents: QWidget, head: QWidget | None = None, flush: bool = False) -> QFrame:
    """A group of controls on a ground of its own; the last takes the room."""
    panel = QFrame()
    panel.setObjectName("panel")
    column = QVBoxLayout(panel)
    margin = 6 if flush else 10
    column.setContentsMargins(margin, margin - 2, margin, margin - 2)
    column.setSpacing(6)
    if head is not None:
        column.addWidget(head)
    for index, widget in enumerate(contents):
        column.addWidget(widget, 1 if index == len(contents) - 1 else 0)
    return panel


def _scrolled(view: QWidget) -> QScrollArea:
    """A view that scrolls up and down where it is too tall."""
    area = QScrollArea()
    area.setWidget(view)
    view.setAutoFillBackground(False)  # which setWidget turns on
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def _across(wide: QWidget, narrow: QWidget) -> QFrame:
    """Two views side by side on one panel."""
    panel = QFrame()
    panel.setObjectName("panel")
    line = QHBoxLayout(panel)
    line.setContentsMargins(8, 6, 8, 6)
    line.setSpacing(8)
    line.addWidget(wide, 1)
    line.addWidget(narrow)
    return panel
