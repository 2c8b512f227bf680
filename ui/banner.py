"""Messages that must be seen and must not stand in the way."""

from __future__ import annotations

from typing import Literal

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton

from lmdm.live.messages import Snapshot
from ui import theme
from ui.stage import Stage

Weight = Literal["notice", "warning", "alarm"]
TINTS: dict[Weight, str] = {
    "notice": theme.ACCENT,
    "warning": theme.WARNING,
    "alarm": theme.ALARM,
}
SIGNS: dict[Weight, str] = {"notice": "i", "warning": "!", "alarm": "✕"}
NOTICE_MS = 7000  # what is over already goes by itself


class Banner(QFrame):
    """One strip of text under the top bar; never a dialog.

    Trouble of the engine or the device shows itself and goes when the trouble does; what is over
    already is told for some seconds. A problem of the panel's own stays until it is dismissed; the
    newest counts, and one that repeats is counted, not piled up.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._of_engine = False
        self._restarts = 0
        self._restored = ""
        self._over = QTimer(self)
        self._over.setSingleShot(True)
        self._over.setInterval(NOTICE_MS)
        self._over.timeout.connect(self.clear)
        self._text = ""
        self._times = 0
        self.sign = QLabel()
        self.sign.setFont(theme.font(1.2, bold=True))
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.dismiss = QPushButton("Dismiss")
        self.dismiss.setObjectName("small")
        theme.describe(self.dismiss, "Dismiss", "Puts this message away.")
        self.dismiss.clicked.connect(self.clear)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 7, 10, 7)
        row.setSpacing(12)
        row.addWidget(self.sign)
        row.addWidget(self.label, 1)
        row.addWidget(self.dismiss)
        self.setObjectName("banner")
        self.hide()
        stage.changed.connect(self.show_snapshot)
        stage.problem.connect(self.show_problem)

    @property
    def text(self) -> str:
        """What is shown; empty when nothing is."""
        return self.label.text() if self.isVisibleTo(self.parentWidget()) else ""

    def show_problem(self, text: str) -> None:
        """Something the musician or the panel did went wrong."""
        self._times = self._times + 1 if text == self._text and not self._of_engine else 1
        self._text, self._of_engine = text, False
        self._show(text if self._times == 1 else f"{text} (×{self._times})", "alarm")

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the engine's trouble, and takes it away when it is over."""
        if snapshot.status == "failed":
            self._engine_trouble(snapshot.text or "The engine has failed.", "alarm")
        elif snapshot.status == "restarting":
            text = snapshot.text or "The engine starts anew; the last bars loop meanwhile."
            self._engine_trouble(text, "warning")
        elif snapshot.device_lost:
            device = snapshot.device or "The sound device"
            text = f"{device} was unplugged. The music goes on, and is heard when it is back."
            self._engine_trouble(text, "warning")
        elif self._of_engine and not self._over.isActive():
            self.clear()
        if snapshot.restarts > self._restarts and snapshot.status == "playing":
            self._tell_over("The engine failed; a new one went on from its last block.", "warning")
        if snapshot.restored and snapshot.restored != self._restored:
            self._tell_over(f"Went on from {snapshot.restored}.", "notice")
        self._restarts, self._restored = snapshot.restarts, snapshot.restored

    def clear(self) -> None:
        """Shows nothing."""
        self._times = 0
        self._over.stop()
        self.hide()

    def _engine_trouble(self, text: str, weight: Weight) -> None:
        if self._of_engine and text == self._text:
            return  # dismissed once is dismissed until it changes
        self._text, self._of_engine = text, True
        self._show(text, weight)

    def _tell_over(self, text: str, weight: Weight) -> None:
        """Something that happened and is over."""
        self._text, self._of_engine = text, True
        self._show(text, weight)
        self._over.start()

    def _show(self, text: str, weight: Weight) -> None:
        self._over.stop()
        tint = TINTS[weight]
        self.setStyleSheet(
            f"QFrame#banner {{ background: {theme.PANEL}; border: 1px solid {tint};"
            f" border-left: 6px solid {tint}; border-radius: 6px; }}"
        )
        text = text[:1].upper() + text[1:]  # the engine's words may begin anywhere in a sentence
        self.sign.setText(SIGNS[weight])
        self.sign.setStyleSheet(f"color: {tint};")
        self.label.setText(text)
        self.setAccessibleName(f"{weight}: {text}")
        self.show()
