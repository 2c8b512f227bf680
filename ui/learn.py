"""Which widget a controller can be mapped to, and the menu that a right-click or long-press opens.

A widget is taught its target once (`teach`); the window asks `LearnMenu` for the menu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, QTimer
from PyQt6.QtGui import QAction, QMouseEvent
from PyQt6.QtWidgets import QAbstractButton, QAbstractSpinBox, QLineEdit, QMenu, QWidget

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
    widget.learn_to_view = to_view  # type: ignore[attr-defined]
    if isinstance(widget, QAbstractSpinBox):  # its own menu of editing would stand in the way
        widget.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        for editor in widget.findChildren(QLineEdit):
            editor.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
    if long_press:
        LongPress(widget)


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


class LongPress(QObject):
    """Opens a taught widget's menu when it is held still; watches that widget and its buttons."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._place: QPointF | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LONG_PRESS_MS)
        self._timer.timeout.connect(self._held)
        for each in (widget, *widget.findChildren(QAbstractButton)):
            each.installEventFilter(self)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Watches for presses that stay where they are; takes nothing away."""
        if not isinstance(event, QMouseEvent):
            return False
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._place = event.globalPosition()
            self._timer.start()
        elif kind == QEvent.Type.MouseMove and self._place is not None:
            away = event.globalPosition() - self._place
            if abs(away.x()) + abs(away.y()) > STILL_PIXELS:
                self._timer.stop()
        elif kind in (QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick):
            self._timer.stop()
        return False

    def _held(self) -> None:
        learn: Any = getattr(self._widget.window(), "learn", None)
        if isinstance(learn, LearnMenu) and self._place is not None:
            learn.open(self._widget, self._place.toPoint())


class LearnMenu(QObject):
    """The menu of a taught widget: learn, forget, back to the usual value."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        self.enabled = True  # False while the stage is locked

    def asked(self, child: QWidget | None, place: QPoint) -> bool:
        """A right-click, or the menu key, on a widget; whether there is a menu for it."""
        widget = taught(child)
        if widget is None or not self.enabled:
            return False
        self.open(widget, place)
        return True

    def open(self, widget: QWidget, place: QPoint) -> None:
        """Shows the menu of a taught widget; it does not wait for an answer."""
        if self.enabled:
            self.menu(widget).popup(place)

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
