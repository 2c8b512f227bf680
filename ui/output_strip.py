"""What goes in and out: gain, meters, limiter, and the input's level while something listens."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from lmdm.live.messages import SetGain, Snapshot
from ui import theme
from ui.fader import Fader
from ui.lane_label import LaneLabel
from ui.learn import teach
from ui.meters import LevelMeter
from ui.stage import Stage


class OutputStrip(QWidget):
    """Input meter, gain fader, output meter, and the limiter's reduction in figures."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.gain = Fader(
            "Output gain",
            "How loud you hear it.",
            "instant",
            -48.0,
            12.0,
            0.5,
            0.0,
            Qt.Orientation.Vertical,
        )
        self.gain.moved.connect(self._set_gain)
        teach(self.gain, "set_gain", "Output gain")
        self.meter = LevelMeter()
        self.input_meter = LevelMeter("Input level", limiter=False)
        self.reading = QLabel("0.0 dB")
        self.reading.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.limiter = QLabel("limiter rests")
        self.limiter.setObjectName("quiet")
        self.limiter.setAlignment(Qt.AlignmentFlag.AlignRight)
        theme.describe(
            self.limiter, "Limiter", "How much the limiter takes away to keep peaks under −1 dB."
        )
        self.into = QLabel("In")
        self.into.setObjectName("caption")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.into)
        head.addWidget(LaneLabel("Out", "instant"))
        head.addWidget(self.reading, 1)
        column.addLayout(head)
        row = QHBoxLayout()
        row.setSpacing(6)
        for widget in (self.input_meter, self.gain, self.meter):
            row.addWidget(widget)
        column.addLayout(row, 1)
        column.addWidget(self.limiter)
        self._show_input(False)
        stage.changed.connect(self.show_snapshot)
        stage.ticked.connect(self.advance)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows gain and levels; the input's only while there is an input."""
        self.gain.show_value(snapshot.gain_db)
        self._read(snapshot.gain_db)
        self.meter.show_levels(snapshot.level_db, snapshot.peak_db, snapshot.limiter_db)
        self.input_meter.show_levels(snapshot.input_level_db, snapshot.input_level_db)
        self._show_input(bool(snapshot.input_device))
        taken = snapshot.limiter_db
        words = f"limiter {taken:.0f} dB".replace("-", "−") if taken < -0.5 else "limiter rests"
        if words != self.limiter.text():
            self.limiter.setText(words)

    def advance(self) -> None:
        """One frame of both meters."""
        self.meter.advance()
        if self.input_meter.isVisible():
            self.input_meter.advance()

    def _show_input(self, on: bool) -> None:
        self.into.setVisible(on)
        self.input_meter.setVisible(on)

    def _set_gain(self, gain_db: float) -> None:
        self._read(gain_db)
        self._stage.send_latest(SetGain(gain_db))

    def _read(self, gain_db: float) -> None:
        words = (f"{gain_db:+.1f} dB" if gain_db else "0.0 dB").replace("-", "−")
        if words != self.reading.text():
            self.reading.setText(words)
