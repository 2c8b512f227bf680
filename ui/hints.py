"""Tooltips that know the moment: measured latency, mapped controllers, what the model hears."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtGui import QHelpEvent
from PyQt6.QtWidgets import QApplication, QToolTip, QWidget

from lmdm.live.messages import MESSAGES, Snapshot
from ui import theme
from ui.ghosts import is_heard
from ui.learn import mappings_of, target_of, taught
from ui.stage import Stage


class Hints(QObject):
    """Answers tooltip requests of controls: what they do, their lane, and what is measured."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Shows the longer tooltip of a control."""
        if event is None or event.type() != QEvent.Type.ToolTip:
            return False
        widget = taught(watched)
        if widget is None or widget.window() is not self._window:
            return False
        if not isinstance(event, QHelpEvent) or not isinstance(watched, QWidget):
            return False
        shown = watched.toolTip() or widget.toolTip()
        QToolTip.showText(
            event.globalPos(), hint(shown, target_of(widget), self._stage.snapshot), watched
        )
        return True


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
