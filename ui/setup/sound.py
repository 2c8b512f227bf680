"""The sound page: devices, buffer, lead, and how often the sound ran out."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QPushButton, QWidget

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui import theme
from ui.fader import Fader
from ui.picker import Picker
from ui.setup.form import Form, set_text
from ui.stage import Stage
from ui.words import seconds_words

SHORTEST_MS, LONGEST_MS = 5.0, 500.0
DROPOUTS_TOLD = 5


class SoundPage(Form):
    """Output, input, buffer in milliseconds, lead; dropouts and why they happened."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.output: Picker[str] = Picker(
            "Output device",
            "Where the sound goes. It can be changed while you play.",
            (),
            "instant",
        )
        self.output.chosen.connect(lambda name: stage.send(m.SelectOutput(name)))
        self.input: Picker[str] = Picker(
            "Input device", "An instrument or a microphone to jam with.", (), "instant"
        )
        self.input.chosen.connect(lambda name: stage.send(m.SelectInput(name)))
        self.again = QPushButton("Look again")
        theme.describe(self.again, "Look again", "Looks for devices that were plugged in.")
        self.again.clicked.connect(lambda: stage.send(m.LookAround()))
        self.buffer = Fader(
            "Buffer",
            "Milliseconds of sound kept ready for the device. Fewer answer sooner; more are safer.",
            "instant",
            SHORTEST_MS,
            LONGEST_MS,
            1.0,
            170.0,
        )
        self.buffer.moved.connect(lambda ms: stage.send_latest(m.SetBuffer(ms)))
        self.buffer_words = QLabel()
        self.buffer_words.setMinimumWidth(self.fontMetrics().horizontalAdvance("500 ms"))
        self.lead = QDoubleSpinBox()
        self.lead.setRange(0.05, 10.0)
        self.lead.setSingleStep(0.1)
        self.lead.setSuffix(" s")
        self.lead.setKeyboardTracking(False)
        theme.describe(
            self.lead,
            "Lead",
            "Seconds of music made ahead. More is safer, and answers no later: what is not final "
            "is made again when you change something.",
            "instant",
        )
        self.lead.valueChanged.connect(lambda seconds: stage.send(m.SetLead(seconds)))
        self.add("Output", self.output)
        self.output_words = self.tell()
        self.add("Input", self.input)
        self.input_words = self.tell()
        self.add("", self.again)
        self.add("Buffer", _beside(self.buffer, self.buffer_words))
        self.latency_words = self.tell()
        self.add("Lead", self.lead)
        self.lead_words = self.tell()
        self.history = QLabel()
        self.history.setTextFormat(Qt.TextFormat.PlainText)
        self.history.setWordWrap(True)
        theme.describe(self.history, "Dropouts", "When the sound ran out, newest first.")
        self.add("Dropouts", self.history)
        self.end()
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows devices and figures; nothing is done while the page is out of sight."""
        if not self.isVisible():
            return
        show_ports(self.output, snapshot.outputs, snapshot.device, "System default")
        show_ports(self.input, snapshot.inputs, snapshot.input_device, "None")
        lost = (
            " – unplugged; the music goes on, and comes back with it"
            if snapshot.device_lost
            else ""
        )
        rate = f"{snapshot.device_rate} Hz" if snapshot.device_rate else ""
        set_text(self.output_words, f"{snapshot.device or 'No device'} {rate}{lost}".strip())
        heard = f"{snapshot.input_ms:.0f} ms latency, compensated" if snapshot.input_device else ""
        set_text(self.input_words, heard or "Nothing is listened to.")
        if snapshot.buffer_ms:
            self.buffer.show_value(snapshot.buffer_ms)
        set_text(self.buffer_words, f"{snapshot.buffer_ms:.0f} ms")
        set_text(self.latency_words, f"{snapshot.device_ms:.0f} ms from here to the ear")
        wanted = snapshot.lead_target_ms / 1000
        if wanted and not self.lead.hasFocus() and abs(self.lead.value() - wanted) > 0.005:
            self.lead.blockSignals(True)
            self.lead.setValue(wanted)
            self.lead.blockSignals(False)
        set_text(
            self.lead_words,
            f"{snapshot.lead_ms / 1000:.1f} s are ready; a change is heard after "
            f"{snapshot.horizon_ms:.0f} ms at the soonest.",
        )
        set_text(self.history, dropouts_words(snapshot))


def dropouts_words(snapshot: Snapshot) -> str:
    """The newest dropouts, a line each."""
    if not snapshot.underruns and not snapshot.underrun_history:
        return "None."
    newest = snapshot.underrun_history[: -DROPOUTS_TOLD - 1 : -1]
    lines = [f"{seconds_words(each.seconds)}  {each.reason}" for each in newest]
    return "\n".join([f"{snapshot.underruns} in all", *lines])


def show_ports(picker: Picker[str], ports: tuple[str, ...], chosen: str, none: str) -> None:
    """Devices or ports in a picker; the one in use is shown even if it is gone from the list."""
    names = list(ports)
    if chosen and not any(chosen == name for name in names):
        names.insert(0, chosen)
    picker.show_options([(none, ""), *((name, name) for name in names)])
    picker.show_value(chosen)


def _beside(*widgets: QWidget) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        line.addWidget(widget)
    return row
