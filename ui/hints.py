"""Tooltips that know the moment: measured latency, mapped controllers, what the model hears."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtGui import QCursor
from PyQt6.QtWidgets import QAbstractButton, QApplication, QWidget

from lmdm.live.messages import MESSAGES, Snapshot
from ui import theme
from ui.ghosts import is_heard
from ui.learn import mappings_of, target_of, taught
from ui.stage import Stage

LOOK_MS = 300  # less than Qt waits before it shows a tooltip


class Hints(QObject):
    """Keeps the tooltip of the control under the pointer true."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Writes the tooltip of what the pointer is over."""
        under = QApplication.widgetAt(QCursor.pos())
        widget = taught(under)
        if widget is not None and widget.window() is self._window:
            self.write(widget)

    def write(self, widget: QWidget) -> None:
        """Writes the tooltip of a control, and of the buttons it is made of."""
        for each in (widget, *widget.findChildren(QAbstractButton)):
            plain = each.property("plain tooltip") or each.toolTip()
            each.setProperty("plain tooltip", plain)
            told = hint(plain, target_of(widget), self._stage.snapshot)
            if told != each.toolTip():
                each.setToolTip(told)


def hint(tooltip: str, target: str, snapshot: Snapshot) -> str:
    """A control's tooltip with what is measured and mapped now."""
    lines = []
    kind = target.partition(":")[0]
    measured = snapshot.control_latency.get(kind)
    whose = "This control"
    if measured is None or not measured.count:
        message = MESSAGES.get(kind)
        lane = message.lane if message is not None else "block"
        measured, whose = snapshot.latency.get(lane), f"The {lane} lane"
    if measured is not None and measured.count:
        lines.append(
            f"{whose}, measured: {measured.p50:.0f} ms to the ear, "
            f"95 of 100 within {measured.p95:.0f} ms."
        )
    mapped = mappings_of(snapshot, target)
    if mapped:
        lines.append(f"MIDI: {', '.join(mapped)}.")
    if not is_heard(snapshot, target):
        lines.append("The model has no such control of its own; it is asked some other way.")
    extra = "".join(f"<br><span style='color:{theme.QUIET}'>{line}</span>" for line in lines)
    return tooltip.replace("</qt>", extra + "</qt>")
