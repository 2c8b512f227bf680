"""The MIDI page: ports, what comes in, and what each channel's notes do."""

from __future__ import annotations

from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui.picker import Picker
from ui.setup.form import Form, set_text
from ui.setup.sound import show_ports
from ui.sources import moved, source_words
from ui.stage import Stage

CHANNELS = 16
COLUMNS = 4
ROLE_WORDS = {"melody": "Melody", "chords": "Chords", "drums": "Drums", "off": "Off"}


class MidiPage(Form):
    """Input and output port, the last controller, and the roles of the channels."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.input: Picker[str] = Picker(
            "MIDI input",
            "Your keyboard or controller. It may be unplugged and comes back.",
            (),
            "instant",
        )
        self.input.chosen.connect(lambda port: stage.send(m.SelectMidiInput(port)))
        self.output: Picker[str] = Picker(
            "MIDI output", "Where clock and the controller's lights are sent.", (), "instant"
        )
        self.output.chosen.connect(lambda port: stage.send(m.SelectMidiOutput(port)))
        self.add("Input", self.input)
        self.coming = self.tell()
        self.add("Output", self.output)
        self.roles: list[Picker[str]] = []
        grid = QWidget()
        cells = QGridLayout(grid)
        cells.setContentsMargins(0, 0, 0, 0)
        cells.setHorizontalSpacing(6)
        cells.setVerticalSpacing(6)
        for channel in range(1, CHANNELS + 1):
            role: Picker[str] = Picker(
                f"Channel {channel}",
                "What notes on this channel do: play, set the harmony, let drums in, or nothing.",
                tuple((ROLE_WORDS[each], each) for each in m.CHANNEL_ROLES),
                "instant",
            )
            role.chosen.connect(
                lambda chosen, channel=channel: stage.send(m.SetChannelRole(channel, chosen))
            )
            role.setMinimumContentsLength(3)
            self.roles.append(role)
            row, column = divmod(channel - 1, COLUMNS)
            number = QLabel(str(channel))
            number.setObjectName("quiet")
            cells.addWidget(number, row, 2 * column)
            cells.addWidget(role, row, 2 * column + 1)
            cells.setColumnStretch(2 * column + 1, 1)
        self.add("Channels", grid)
        self.osc = self.tell()
        self.end()
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows ports and what comes in."""
        if not self.isVisible():
            return
        show_ports(self.input, snapshot.midi_inputs, snapshot.midi, "Our own virtual port")
        show_ports(self.output, snapshot.midi_outputs, snapshot.midi_out, "None")
        came = moved(snapshot.last_controller)
        set_text(
            self.coming,
            f"Last: {source_words(came.source)}, value {came.value}"
            if came
            else "Nothing has come in yet. Play a key or turn a knob.",
        )
        roles = snapshot.channel_roles or ("melody",) * CHANNELS
        for picker, role in zip(self.roles, roles, strict=False):
            picker.show_value(role)
        set_text(self.osc, f"OSC: {snapshot.osc}" if snapshot.osc else "OSC is off.")
