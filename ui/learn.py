"""Which widget a controller can be mapped to, and the menu that a right-click or long-press opens.

A widget is taught its target once (`teach`); one event filter of the window does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer
from PyQt6.QtGui import QAction, QContextMenuEvent, QMouseEvent
from PyQt6.QtWidgets import QApplication, QMenu, QWidget

from lmdm.live.messages import BeginLearn, ForgetMapping, Snapshot
from ui.sources import source_words
from ui.stage import Stage

LONG_PRESS_MS = 650
STILL_PIXELS = 6.0  # a press that moves further is a drag

_TARGET = "learn target"
_NAME = "learn name"


def teach(
    widget: QWidget,
    target: str,
    name: str,
    to_view: Callable[[float], float] = float,
    long_press: bool = True,
) -> None:
    """Lets controllers be mapped to a widget.

    Args:
        widget: what the musician clicks.
        target: as in `BeginLearn`.
        name: what the musician calls it.
        to_view: the target's numbers as the widget's `show_ghost` takes them.
        long_press: whether holding the widget still opens its menu; not where holding plays.
    """
    widget.setProperty(_TARGET, target)
    widget.setProperty(_NAME, name)
    widget.setProperty("learn long press", long_press)
    widget.learn_to_view = to_view  # type: ignore[attr-defined]


def taught(widget: QObject | None) -> QWidget | None:
    """The widget itself, or the parent of it, that a controller can be mapped to."""
    while isinstance(widget, QWidget):
        if widget.property(_TARGET):
            return widget
        widget = widget.parentWidget()
    return None


def target_of(widget: QWidget) -> str:
    """The target a widget was taught."""
    return str(widget.property(_TARGET) or "")


def name_of(widget: QWidget) -> str:
    """What the musician calls a taught widget."""
    return str(widget.property(_NAME) or "")


def all_taught(window: QWidget) -> Iterator[QWidget]:
    """Every widget of a window that was taught a target."""
    return (each for each in window.findChildren(QWidget) if each.property(_TARGET))


class LearnMenu(QObject):
    """Opens the menu of a taught widget on a right-click, the menu key, or a long press."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        self.enabled = True  # False while the stage is locked
        self._pressed: tuple[QWidget, QPointF] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LONG_PRESS_MS)
        self._timer.timeout.connect(self._long_pressed)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Watches for context menus and for presses that stay where they are."""
        if event is None or not self.enabled or not isinstance(watched, QWidget):
            return False
        kind = event.type()
        if kind == QEvent.Type.ContextMenu and isinstance(event, QContextMenuEvent):
            widget = taught(watched)
            if widget is None or widget.window() is not self._window:
                return False
            self.open(widget, event.globalPos())
            return True
        if kind == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            self._press(watched, event)
        elif kind == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            self._move(event)
        elif kind in (QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick):
            self._cancel()
        return False

    def _press(self, watched: QWidget, event: QMouseEvent) -> None:
        widget = taught(watched)
        if widget is None or widget.window() is not self._window:
            return
        if event.button() == Qt.MouseButton.LeftButton and widget.property("learn long press"):
            self._pressed = (widget, event.globalPosition())
            self._timer.start()

    def _move(self, event: QMouseEvent) -> None:
        if self._pressed is not None:
            away = event.globalPosition() - self._pressed[1]
            if abs(away.x()) + abs(away.y()) > STILL_PIXELS:
                self._cancel()

    def _cancel(self) -> None:
        self._pressed = None
        self._timer.stop()

    def _long_pressed(self) -> None:
        if self._pressed is not None:
            widget, place = self._pressed
            self._pressed = None
            self.open(widget, place.toPoint())

    def open(self, widget: QWidget, place: QPoint) -> None:
        """Shows the menu of a taught widget; it does not wait for an answer."""
        menu = self.menu(widget)
        menu.popup(place)

    def menu(self, widget: QWidget) -> QMenu:
        """The menu of a taught widget."""
        target, snapshot = target_of(widget), self._stage.snapshot
        menu = QMenu(self._window)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        title = QAction(name_of(widget), menu)
        title.setEnabled(False)
        menu.addAction(title)
        learn = QAction("Learn a MIDI controller…", menu)
        learn.triggered.connect(lambda: self._stage.send(BeginLearn(target)))
        menu.addAction(learn)
        mapped = mappings_of(snapshot, target)
        if mapped:
            forget = QAction("Forget " + " and ".join(mapped), menu)
            forget.triggered.connect(lambda: self._stage.send(ForgetMapping(target)))
            menu.addAction(forget)
        reset: Any = getattr(widget, "reset", None)
        if callable(reset):
            menu.addSeparator()
            usual = QAction("Back to the usual value", menu)
            usual.triggered.connect(lambda: reset())
            menu.addAction(usual)
        extend: Any = getattr(widget, "extend_menu", None)
        if callable(extend):
            extend(menu)
        return menu


def mappings_of(snapshot: Snapshot, target: str) -> list[str]:
    """The controllers mapped to a target, in words."""
    return [source_words(each.source) for each in snapshot.mappings if each.target == target]
