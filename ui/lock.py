"""The stage lock: playing goes on, and nothing can be changed by accident.

Locked, scenes, blend, weights, dials, keys, mute and panic act as ever. Words, set-up, files,
seeds, ending a take and closing the window do not. Holding the padlock for a second unlocks.
"""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import QElapsedTimer, QRectF, QTimer, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QPushButton, QWidget

from ui import icons, theme

HOLD_MS = 1000
FRAME_MS = 33


class LockButton(QPushButton):
    """Click to lock; hold to unlock, while a ring fills."""

    changed = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("icon")
        self.locked = False
        self._held = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._holding)
        self.pressed.connect(self._pressed)
        self.released.connect(self._released)
        self._show()

    @property
    def held(self) -> float:
        """How much of the hold is done, 0 to 1."""
        return min(self._held.elapsed() / HOLD_MS, 1.0) if self._timer.isActive() else 0.0

    def set_locked(self, locked: bool) -> None:
        """Locks or unlocks."""
        if locked != self.locked:
            self.locked = locked
            self._show()
            self.changed.emit(locked)

    def _show(self) -> None:
        self.setIcon(icons.icon("locked" if self.locked else "unlocked", tint=theme.TEXT))
        if self.locked:
            theme.describe(
                self, "Unlock the stage", "Hold it for a second to unlock.", None, "Ctrl+L"
            )
        else:
            what = "Playing goes on; words, set-up, files and closing are shut."
            theme.describe(self, "Lock the stage", what, None, "Ctrl+L")

    def _pressed(self) -> None:
        if self.locked:
            self._held.start()
            self._timer.start()
        else:
            self.set_locked(True)

    def _released(self) -> None:
        self._timer.stop()
        self.update()

    def _holding(self) -> None:
        if self.held >= 1.0:
            self._timer.stop()
            self.set_locked(False)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """The button, and a bar along its foot that fills while it is held."""
        super().paintEvent(event)
        if self.held > 0.0:
            painter = QPainter(self)
            bar = QRectF(3, self.height() - 5, (self.width() - 6) * self.held, 3)
            painter.fillRect(bar, theme.colour(theme.ACCENT))


class StageLock:
    """Shuts widgets while the stage is locked and opens those again that were open before."""

    def __init__(self, widgets: Iterable[QWidget]) -> None:
        self._widgets = tuple(widgets)
        self._shut: list[QWidget] = []

    def set_locked(self, locked: bool) -> None:
        """Shuts or opens."""
        if locked:
            self._shut = [each for each in self._widgets if each.isEnabled()]
        for widget in self._shut:
            widget.setEnabled(not locked)
        if not locked:
            self._shut = []
