"""The clock page: whose tempo, the bar, the phrase, and clock for others."""

from __future__ import annotations

from PyQt6.QtWidgets import QCheckBox, QSpinBox

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui import theme
from ui.picker import Picker
from ui.setup.form import Form, set_text
from ui.stage import Stage
from ui.transport import CLOCKS


class ClockPage(Form):
    """Clock source, clock out, beats a bar, bars a phrase."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.source: Picker[str] = Picker(
            "Clock",
            "Who gives the tempo: ourselves, MIDI clock, or Ableton Link.",
            CLOCKS,
            "instant",
        )
        self.source.chosen.connect(lambda source: stage.send(m.SetClockSource(source)))
        self.out = QCheckBox("Send MIDI clock, start, stop and position")
        theme.describe(self.out, "Send clock", "Others follow our tempo.", "instant")
        self.out.clicked.connect(lambda on: stage.send(m.SetClockOut(on)))
        self.beats, self.bars = QSpinBox(), QSpinBox()
        self.beats.setRange(1, 16)
        self.bars.setRange(1, 64)
        theme.describe(self.beats, "Beats a bar", "How many beats a bar has.", "block")
        theme.describe(self.bars, "Bars a phrase", "How many bars a phrase has.", "block")
        for box in (self.beats, self.bars):
            box.setKeyboardTracking(False)
            box.valueChanged.connect(self._send_meter)
        self.add("Clock", self.source)
        self.words = self.tell()
        self.add("", self.out)
        self.add("Beats a bar", self.beats)
        self.add("Bars a phrase", self.bars)
        self.tell("Scenes and prompts can wait for the next beat, bar or phrase.")
        self.end()
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the clock."""
        if not self.isVisible():
            return
        self.source.show_value(snapshot.clock_source)
        set_text(self.words, snapshot.clock_text or f"{snapshot.bpm:.1f} beats a minute")
        self.out.setChecked(snapshot.clock_out)
        for box, value in (
            (self.beats, snapshot.beats_per_bar),
            (self.bars, snapshot.bars_per_phrase),
        ):
            if not box.hasFocus() and box.value() != value:
                box.blockSignals(True)
                box.setValue(value)
                box.blockSignals(False)

    def _send_meter(self) -> None:
        self._stage.send(m.SetMeter(self.beats.value(), self.bars.value()))
