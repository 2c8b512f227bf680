"""The set-up dialog and its pages."""

from __future__ import annotations

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QDialog, QScrollArea, QVBoxLayout, QWidget

from lmdm.live.messages import LookAround
from ui.setup.clock import ClockPage
from ui.setup.midi import MidiPage
from ui.setup.model import ModelPage
from ui.setup.sound import SoundPage
from ui.stage import Stage
from ui.tabs import Tabs


class SetupDialog(QDialog):
    """Every choice acts at once; there is nothing to confirm."""

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = stage
        self.setWindowTitle("Set-up – LMDM Live")
        self.setModal(False)
        self.sound = SoundPage(stage)
        self.midi = MidiPage(stage)
        self.clock = ClockPage(stage)
        self.model = ModelPage(stage)
        self.tabs = Tabs(
            (
                ("Sound", "Where the sound goes, and where it comes from.", _scrolled(self.sound)),
                ("MIDI", "Keyboards and controllers.", _scrolled(self.midi)),
                ("Clock", "Who gives the tempo.", _scrolled(self.clock)),
                ("Model", "What plays.", _scrolled(self.model)),
            )
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.addWidget(self.tabs)
        line = self.fontMetrics().height()
        self.resize(QSize(round(40 * line), round(33 * line)))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Devices and models are looked for again, and shown as they are now."""
        super().showEvent(event)
        self._stage.send(LookAround())
        for page in (self.sound, self.midi, self.clock, self.model):
            page.show_snapshot(self._stage.snapshot)


def _scrolled(page: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(page)
    area.setWidgetResizable(True)
    return area
